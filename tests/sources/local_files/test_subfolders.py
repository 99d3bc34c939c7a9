from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.sources.local_files import source
from rag_pipeline.sources.local_files.mount_table import MountTable
from rag_pipeline.sources.local_files.subfolders import Subfolder, SubfolderCheck, SuspectFolders
from rag_pipeline.status.control import Action
from tests.sources.local_files.running import Run, running
from tests.sources.memory_stages import MemoryStore

Listing = Callable[[int], AbstractContextManager[Iterator[os.DirEntry[str]]]]


@contextmanager
def listed_as(monkeypatch: pytest.MonkeyPatch, folder: Path, listing: Listing) -> Iterator[None]:
    """Replace how the system lists a folder."""
    real = os.scandir

    def scandir(opened: int) -> Any:
        return listing(opened) if os.path.samestat(os.fstat(opened), folder.stat()) else real(opened)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        yield


def wait_scan(run: Run) -> None:
    """Request a scan and wait until one that began after this call has ended."""
    for _ in range(2):
        before = run.state()["last_check_time"]
        assert run.status.control is not None
        run.status.control.ask(Action.CHECK)
        run.wait(lambda before=before: run.state()["last_check_time"] != before)  # type: ignore[misc]


def write_share(run: Run) -> Path:
    """Write three files, two of them below a subfolder; return the subfolder."""
    run.write("share/a.txt", "one")
    run.write("share/deep/b.txt", "two")
    run.write("c.txt", "three")
    run.wait_idle(processed=3)
    return run.folder / "share"


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOENT])
def test_files_below_an_unlisted_subfolder_are_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(opened: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        raise OSError(number, os.strerror(number))

    with running(tmp_path) as run:
        share = write_share(run)
        with listed_as(monkeypatch, share, refuse):
            for _ in range(3):
                wait_scan(run)
        assert sorted(run.store.texts()) == ["c.txt", "share/a.txt", "share/deep/b.txt"]
        (share / "a.txt").unlink()
        run.wait(lambda: "share/a.txt" in run.ended("deleted"))
        assert (sorted(run.store.texts()), run.test.embedder.embedded) == (["c.txt", "share/deep/b.txt"], 3)


@pytest.mark.slow
def test_a_share_that_shows_an_empty_subfolder_once_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def empty_once(path: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        shown.append(path)
        return nullcontext(iter(())) if len(shown) == 1 else real(path)

    with running(tmp_path) as run:
        share, real = write_share(run), os.scandir
        with listed_as(monkeypatch, share, empty_once):
            for _ in range(3):
                wait_scan(run)
        assert len(shown) > 1
        assert sorted(run.store.texts()) == ["c.txt", "share/a.txt", "share/deep/b.txt"]
        assert run.ended("deleted") == []


@pytest.mark.slow
@pytest.mark.parametrize("single", [False, True])
def test_files_that_are_really_gone_are_deleted(tmp_path: Path, *, single: bool) -> None:
    store = MemoryStore()
    with running(tmp_path, store) as run:
        share = write_share(run)
        if not single:
            (share / "a.txt").unlink()
            (share / "deep" / "b.txt").unlink()
            run.wait(lambda: run.state()["total_deleted"] == 2)
            return
    (share / "a.txt").unlink()
    (share / "deep" / "b.txt").unlink()
    with running(tmp_path, store, single=True) as once:
        assert sorted(once.ended("deleted")) == ["share/a.txt", "share/deep/b.txt"]
        assert list(once.store.texts()) == ["c.txt"]


@pytest.mark.slow
def test_the_last_file_of_a_folder_can_move_away_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        share = write_share(run)
        (share / "deep" / "b.txt").rename(run.folder / "moved.txt")
        run.wait(lambda: "moved.txt" in run.store.texts() and run.state()["total_deleted"] == 1)
        assert "share/deep/b.txt" not in run.store.texts()


@pytest.mark.slow
def test_files_of_an_unmounted_file_system_are_kept_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, mounted = MemoryStore(), True
    share, away = (tmp_path / "docs" / "share").resolve(), tmp_path / "away"
    monkeypatch.setattr(source, "read_mount_table", lambda: MountTable(frozenset({str(share)} if mounted else ())))
    with running(tmp_path, store) as run:
        write_share(run)
        shutil.move(share, away)
        mounted = False
        share.mkdir()
        run.wait(lambda: run.state()["total_failed"] == 1)
        for _ in range(3):
            wait_scan(run)
        assert run.ended("deleted") == []
        assert "the file system mounted here is gone" in run.state()["files_failed"][0]["error"]["message"]
    for single in (False, True):
        with running(tmp_path, store, single=single) as again:
            if not single:
                again.wait(lambda again=again: bool(again.state()["status"] == "idle"))  # type: ignore[misc]
                for _ in range(3):
                    wait_scan(again)
            assert (again.ended("deleted"), again.test.embedder.embedded) == ([], 0)
    share.rmdir()
    shutil.move(away, share)
    mounted = True
    with running(tmp_path, store) as last:
        last.wait(lambda: last.ended("deleted") == ["share"] and bool(last.state()["status"] == "idle"))
        assert sorted(store.texts()) == ["c.txt", "share/a.txt", "share/deep/b.txt"]
        assert last.test.embedder.embedded == 0
        (share / "a.txt").unlink()
        last.wait(lambda: "share/a.txt" in last.ended("deleted"))


# -- the check alone -----------------------------------------------------------------------------------------------

PLAIN, OTHER, MOUNT = Subfolder(1, 10, is_mount=False), Subfolder(1, 11, is_mount=False), Subfolder(2, 1, is_mount=True)
NONE: frozenset[str] = frozenset()
SURE = SuspectFolders()


def known(**folders: Subfolder) -> SubfolderCheck:
    subfolders = SubfolderCheck()
    assert subfolders.check(folders, [*folders], NONE) == SURE
    return subfolders


def test_an_emptied_or_replaced_folder_is_accepted_by_the_second_scan() -> None:
    for after, filled in ((PLAIN, []), (OTHER, []), (OTHER, ["a"])):
        subfolders = known(a=PLAIN)
        assert subfolders.check({"a": after}, filled, NONE) == SuspectFolders(frozenset("a"))
        assert subfolders.check({"a": after}, filled, NONE) == SURE
        assert subfolders.check({"a": after}, filled, NONE) == SURE


def test_a_folder_that_changes_with_each_scan_stays_suspect() -> None:
    subfolders = known(a=PLAIN)
    for folder in (OTHER, PLAIN, OTHER):
        assert subfolders.check({"a": folder}, [], NONE) == SuspectFolders(frozenset("a"))
    assert subfolders.check({"a": PLAIN}, ["a"], NONE) == SURE


def test_an_emptied_tree_is_accepted_as_a_whole_by_the_second_scan() -> None:
    tree = {"a": PLAIN, "a/b": OTHER}
    subfolders = SubfolderCheck()
    subfolders.check(tree, ["a/b"], NONE)
    assert subfolders.check(tree, [], NONE) == SuspectFolders(frozenset({"a", "a/b"}))
    assert subfolders.check(tree, [], NONE) == SURE


def test_a_deleted_folder_is_not_suspect() -> None:
    assert known(a=PLAIN).check({}, [], NONE) == SURE


def test_a_mount_point_without_its_file_system_is_suspect_while_it_is_empty() -> None:
    subfolders = known(a=MOUNT)
    for _ in range(4):
        assert subfolders.check({"a": PLAIN}, [], NONE) == SuspectFolders(frozenset("a"), frozenset("a"))
        assert subfolders.mounts == {"a"}
    assert subfolders.check({"a": PLAIN}, ["a"], NONE) == SuspectFolders(frozenset("a"))
    assert subfolders.check({"a": PLAIN}, ["a"], NONE) == SURE
    assert subfolders.mounts == NONE


def test_folders_of_an_earlier_process_can_be_suspect() -> None:
    for mounts, second in ((NONE, SURE), (frozenset("é"), SuspectFolders(frozenset("é"), frozenset("é")))):
        subfolders = SubfolderCheck()
        subfolders.learn(["e\u0301/x.txt", "top.txt"], mounts | {"elsewhere"})
        assert subfolders.check({"é": PLAIN}, [], NONE).folders == {"é"}
        assert subfolders.check({"é": PLAIN}, [], NONE) == second


def test_an_unlisted_folder_is_remembered_as_it_was() -> None:
    subfolders = SubfolderCheck()
    subfolders.check({"a": MOUNT, "a/b": OTHER}, ["a/b"], NONE)
    assert subfolders.check({}, [], frozenset("a")) == SURE
    assert subfolders.check({"a": PLAIN}, [], NONE) == SuspectFolders(frozenset("a"), frozenset("a"))
