"""Which files leave the store, and which stay although Drive does not show them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_pipeline.sources.google_drive import deletion_check
from tests.drive import ELSEWHERE, SHARED_WITH_ME, DriveServer, error
from tests.sources.google_drive.pipeline_run import PipelineRun, run_pipeline
from tests.sources.google_drive.support import no_check, open_source
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow

Do = Callable[[], object]


@pytest.fixture
def top(server: DriveServer) -> str:
    return server.drive.add_folder("Papers")


def fill(server: DriveServer, folder: str, files: int = 3) -> set[str]:
    return {server.drive.add_file(f"{number}.txt", f"{number}", folder) for number in range(files)}


def wait_for_looks(run: PipelineRun, number: int = 3) -> None:
    """Wait until the pipeline has made so many more scans, and is idle."""
    gets_before = run.server.requests.count("changes.list")
    run.wait(lambda: run.server.requests.count("changes.list") >= gets_before + number)
    run.wait(lambda: bool(run.state()["status"] == "idle"))


def look_at_everything(run: PipelineRun) -> None:
    """Make the pipeline run a full pass."""
    listed = run.server.requests.count("files.list")
    run.server.expire_change_tokens()
    run.wait(lambda: run.server.requests.count("files.list") > listed)
    wait_for_looks(run)


# -- Unlisted files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_full_pass_with_answers_for_only_some_folders_deletes_nothing(
    server: DriveServer, top: str, tmp_path: Path, share: float
) -> None:
    files = set().union(*(fill(server, server.drive.add_folder(f"{number}", top)) for number in range(12)))
    server.behaviour.or_queries_miss_share = share
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=len(files))  # at first, no file is missing
        look_at_everything(run)
        assert (set(run.store.texts()), run.ended("deleted")) == (files, [])
        assert max(run.store.writes.values()) == 1


@pytest.mark.parametrize("what", ["a folder", "files"])
def test_a_file_that_is_no_longer_listed_stays_and_is_followed(
    server: DriveServer, top: str, tmp_path: Path, what: str
) -> None:
    sub = server.drive.add_folder("sub", top)
    deep = server.drive.add_folder("deep", sub)
    files = fill(server, top) | fill(server, sub) | fill(server, deep)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=len(files))
        server.behaviour.unlisted = {sub} if what == "a folder" else set(files)
        look_at_everything(run)
        assert (set(run.store.texts()), run.ended("deleted")) == (files, [])
        changed = min(fill(server, deep, 1))
        run.wait(lambda: set(run.store.texts()) == {*files, changed})
        server.drive.set_content(changed, "changed")
        run.wait(lambda: run.store.texts()[changed] == ["changed"])


@pytest.mark.parametrize("what", ["a folder", "files"])
def test_with_a_lost_mirror_a_single_pass_keeps_unlisted_files_and_deletes_gone_ones(
    server: DriveServer, top: str, tmp_path: Path, what: str
) -> None:
    sub = server.drive.add_folder("sub", top)
    files = fill(server, server.drive.add_folder("deep", sub)) | fill(server, top)
    gone, trashed, moved = (server.drive.add_file(f"{name}.txt", name, sub) for name in ("gone", "trashed", "moved"))
    store = MemoryStore()
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
    for path in (tmp_path / "state").glob("mirror.sqlite3*"):
        path.unlink()
    server.drive.delete(gone)
    server.drive.trash(trashed)
    server.drive.move(moved, server.drive.add_folder("outside"))
    server.behaviour.unlisted = {sub} if what == "a folder" else set(files)
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
        assert set(store.texts()) == files
        assert set(run.ended("deleted")) == {gone, trashed, moved}
    with run_pipeline(tmp_path, server, top, store, single=True) as run:
        assert (set(store.texts()), run.ended("deleted")) == (files, [])


def test_nothing_is_deleted_while_drive_can_not_confirm_it(server: DriveServer, top: str, tmp_path: Path) -> None:
    files, sub = fill(server, top), server.drive.add_folder("sub", top)
    below = fill(server, sub)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=6)
        for key in below:
            server.faults.add(error(403, "forbidden"), "files.get", file=key, times=None)
        server.drive.delete(sub)  # Drive reports the folder, but not its files
        run.wait(lambda: bool(run.state()["status"] == "error"))
        assert "forbidden" in run.state()["message"]
        assert (set(run.store.texts()), run.ended("deleted")) == (files | below, [])
        server.faults.clear()
        run.wait(lambda: set(run.ended("deleted")) == below)
        assert set(run.store.texts()) == files


# -- Invisible files --------------------------------------------------------------------------------------------------


def test_files_of_an_unshared_folder_stay_until_drive_says_that_they_are_gone(
    server: DriveServer, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion_check, "RECHECK_SECONDS", 0.3)
    drive = server.drive
    sub = drive.add_folder("sub", top)
    deep = drive.add_folder("deep", sub)
    files = fill(server, top) | fill(server, sub) | fill(server, deep)
    for key in (*files, deep):
        drive.grant(key)  # also shared individually
    store = MemoryStore()
    with run_pipeline(tmp_path, server, top, store) as run:
        run.wait_idle(processed=len(files))
        drive.revoke(sub)
        wait_for_looks(run)
        assert (set(store.texts()), run.ended("deleted")) == (files, [])
        look_at_everything(run)
        assert (set(store.texts()), run.ended("deleted")) == (files, [])
    with run_pipeline(tmp_path, server, top, store) as run:
        wait_for_looks(run)
        assert (set(store.texts()), run.ended("deleted")) == (files, [])
        hidden = [item.id for folder in (sub, deep) for item in drive.children(folder) if item.id in files]
        drive.trash(hidden[0])
        drive.delete(hidden[1])
        drive.revoke(hidden[2])
        drive.move(hidden[3], drive.add_folder("outside"))
        run.wait(lambda: set(run.ended("deleted")) == set(hidden[:4]))
        drive.grant(sub)
        wait_for_looks(run)
        assert set(store.texts()) == files - set(hidden[:4])
        drive.set_content(hidden[4], "changed")
        run.wait(lambda: store.texts()[hidden[4]] == ["changed"])
        assert set(run.ended("deleted")) == set(hidden[:4])


def test_invisible_files_are_rechecked_only_from_time_to_time(server: DriveServer, top: str, tmp_path: Path) -> None:
    sub = server.drive.add_folder("sub", top)
    files = fill(server, sub)
    for key in files:
        server.drive.grant(key)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=3)
        server.drive.revoke(sub)
        wait_for_looks(run)
        gets_before = server.requests.count("files.get")
        wait_for_looks(run, 5)
        assert server.requests.count("files.get") == gets_before
        assert set(run.store.texts()) == files


# -- Gone files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "requests"),
    [
        # A visible folder that has left takes all its files along.
        ("trash", 0),
        ("move outside", 1),
        ("move into another one of those shared", 1),
        # An invisible folder says nothing about its files.
        ("revoke", 10),
        ("delete", 10),
        ("move elsewhere", 10),
    ],
)
def test_a_folder_that_leaves_takes_its_files_along(
    server: DriveServer, tmp_path: Path, how: str, requests: int
) -> None:
    drive = server.drive
    top, archive = drive.add_folder("Papers", SHARED_WITH_ME), drive.add_folder("Archive", SHARED_WITH_ME)
    outside, sub = drive.add_folder("outside"), drive.add_folder("sub", top)
    files, below = fill(server, top), fill(server, drive.add_folder("deep", sub), 10)
    ways: dict[str, Do] = {
        "trash": lambda: drive.trash(sub),
        "move outside": lambda: drive.move(sub, outside),
        "move into another one of those shared": lambda: drive.move(sub, archive),
        "revoke": lambda: drive.revoke(sub),
        "delete": lambda: drive.delete(sub),
        "move elsewhere": lambda: drive.move(sub, ELSEWHERE),
    }
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=13)
        gets_before = server.requests.count("files.get")
        ways[how]()
        run.wait(lambda: set(run.ended("deleted")) == below)
        assert set(run.store.texts()) == files
        assert server.requests.count("files.get") - gets_before <= requests + 2  # and the folders


def test_a_file_reached_only_by_a_shortcut_is_deleted_with_the_shortcut(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    file = server.drive.add_file("a.txt", "one", SHARED_WITH_ME)
    other = server.drive.add_file("b.txt", "two", server.drive.add_folder("outside"))
    shortcuts = [server.drive.add_shortcut("again", key, top) for key in (file, other)]
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=2)
        for shortcut in shortcuts:
            server.drive.delete(shortcut)
        run.wait(lambda: run.store.texts() == {})


def test_a_file_that_drive_reported_as_gone_is_not_requested_again(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with run_pipeline(tmp_path, server, top) as run:
        run.wait_idle(processed=1)
        gets_before = server.requests.count("files.get")
        server.drive.delete(key)
        run.wait(lambda: run.store.texts() == {})
        assert server.requests.count("files.get") == gets_before


def test_a_missing_file_does_not_count_as_gone_without_confirmation(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with open_source(tmp_path, server, top) as seen:
        assert seen.ids() == {key}
        server.drive.delete(key)
        found = seen.source.scan(no_check)
        assert found.may_exist(key)
        assert found.confirm_missing is not None
        assert not found.confirm_missing({key}, no_check).may_exist(key)
