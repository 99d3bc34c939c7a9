"""What leaves the store, and what stays though Drive does not show it: the pipeline over the tests' Drive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag_pipeline.sources.google_drive import deletion_check
from tests.drive import ELSEWHERE, SHARED_WITH_ME, DriveServer, error
from tests.sources.google_drive.driving import go_on, seeing
from tests.sources.google_drive.running import Run, running
from tests.sources.memory_stages import MemoryStore

Do = Callable[[], object]


@pytest.fixture
def top(server: DriveServer) -> str:
    return server.drive.add_folder("Papers")


def fill(server: DriveServer, folder: str, files: int = 3) -> set[str]:
    return {server.drive.add_file(f"{number}.txt", f"{number}", folder) for number in range(files)}


def wait_for_looks(run: Run, number: int = 3) -> None:
    """Wait until the pipeline has looked so many times more, and has nothing to do."""
    asked = run.server.requests.count("changes.list")
    run.wait(lambda: run.server.requests.count("changes.list") >= asked + number)
    run.wait(lambda: bool(run.state()["status"] == "idle"))


def look_at_everything(run: Run) -> None:
    """Have a full pass made."""
    listed = run.server.requests.count("files.list")
    run.server.expire_change_tokens()
    run.wait(lambda: run.server.requests.count("files.list") > listed)
    wait_for_looks(run)


# -- What a listing does not show --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_a_full_pass_that_drive_answers_for_some_folders_only_takes_nothing_out(
    server: DriveServer, top: str, tmp_path: Path, share: float
) -> None:
    files = set().union(*(fill(server, server.drive.add_folder(f"{number}", top)) for number in range(12)))
    server.behaviour.or_queries_miss_share = share
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=len(files))  # none is missed at first, either
        look_at_everything(run)
        assert (set(run.store.texts()), run.ended("deleted")) == (files, [])
        assert max(run.store.writes.values()) == 1


@pytest.mark.parametrize("what", ["a folder", "files"])
def test_what_vanishes_from_the_lists_stays_and_is_followed_as_before(
    server: DriveServer, top: str, tmp_path: Path, what: str
) -> None:
    sub = server.drive.add_folder("sub", top)
    deep = server.drive.add_folder("deep", sub)
    files = fill(server, top) | fill(server, sub) | fill(server, deep)
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=len(files))
        server.behaviour.unlisted = {sub} if what == "a folder" else set(files)
        look_at_everything(run)
        assert (set(run.store.texts()), run.ended("deleted")) == (files, [])
        changed = min(fill(server, deep, 1))
        run.wait(lambda: set(run.store.texts()) == {*files, changed})
        server.drive.set_content(changed, "changed")
        run.wait(lambda: run.store.texts()[changed] == ["changed"])


@pytest.mark.parametrize("what", ["a folder", "files"])
def test_what_vanishes_while_the_mirror_is_lost_stays_in_a_single_pass_and_what_is_gone_goes(
    server: DriveServer, top: str, tmp_path: Path, what: str
) -> None:
    sub = server.drive.add_folder("sub", top)
    files = fill(server, server.drive.add_folder("deep", sub)) | fill(server, top)
    gone, trashed, moved = (server.drive.add_file(f"{name}.txt", name, sub) for name in ("gone", "trashed", "moved"))
    store = MemoryStore()
    with running(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
    for path in (tmp_path / "state").glob("mirror.sqlite3*"):
        path.unlink()
    server.drive.delete(gone)
    server.drive.trash(trashed)
    server.drive.move(moved, server.drive.add_folder("outside"))
    server.behaviour.unlisted = {sub} if what == "a folder" else set(files)
    with running(tmp_path, server, top, store, single=True) as run:
        assert run.error is None
        assert set(store.texts()) == files
        assert set(run.ended("deleted")) == {gone, trashed, moved}
    with running(tmp_path, server, top, store, single=True) as run:
        assert (set(store.texts()), run.ended("deleted")) == (files, [])


def test_nothing_goes_while_drive_can_not_be_asked_for_it(server: DriveServer, top: str, tmp_path: Path) -> None:
    files, sub = fill(server, top), server.drive.add_folder("sub", top)
    below = fill(server, sub)
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=6)
        for key in below:
            server.faults.add(error(403, "forbidden"), "files.get", file=key, times=None)
        server.drive.delete(sub)  # of which Drive tells, and not of the files
        run.wait(lambda: bool(run.state()["status"] == "error"))
        assert "forbidden" in run.state()["message"]
        assert (set(run.store.texts()), run.ended("deleted")) == (files | below, [])
        server.faults.clear()
        run.wait(lambda: set(run.ended("deleted")) == below)
        assert set(run.store.texts()) == files


# -- What is out of sight ----------------------------------------------------------------------------------------------


def test_files_whose_folder_is_taken_out_of_a_share_stay_until_drive_says_that_they_are_gone(
    server: DriveServer, top: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion_check, "RECHECK_SECONDS", 0.3)
    drive = server.drive
    sub = drive.add_folder("sub", top)
    deep = drive.add_folder("deep", sub)
    files = fill(server, top) | fill(server, sub) | fill(server, deep)
    for key in (*files, deep):
        drive.grant(key)  # shared on their own, too
    store = MemoryStore()
    with running(tmp_path, server, top, store) as run:
        run.wait_idle(processed=len(files))
        drive.revoke(sub)
        wait_for_looks(run)
        assert (set(store.texts()), run.ended("deleted")) == (files, [])
        look_at_everything(run)
        assert (set(store.texts()), run.ended("deleted")) == (files, [])
    with running(tmp_path, server, top, store) as run:
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


def test_files_that_are_out_of_sight_are_asked_for_now_and_then_only(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    sub = server.drive.add_folder("sub", top)
    files = fill(server, sub)
    for key in files:
        server.drive.grant(key)
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=3)
        server.drive.revoke(sub)
        wait_for_looks(run)
        asked = server.requests.count("files.get")
        wait_for_looks(run, 5)
        assert server.requests.count("files.get") == asked
        assert set(run.store.texts()) == files


# -- What is gone ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "requests"),
    [
        # Drive's word on the folder is one on all that is in it, as long as the folder can be seen.
        ("trash", 0),
        ("move outside", 1),
        ("move into another one of those shared", 1),
        # A folder that can't be seen says nothing of its files.
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
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=13)
        asked = server.requests.count("files.get")
        ways[how]()
        run.wait(lambda: set(run.ended("deleted")) == below)
        assert set(run.store.texts()) == files
        assert server.requests.count("files.get") - asked <= requests + 2  # and the folders


def test_a_file_that_a_shortcut_alone_led_to_goes_with_the_shortcut(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    file = server.drive.add_file("a.txt", "one", SHARED_WITH_ME)
    other = server.drive.add_file("b.txt", "two", server.drive.add_folder("outside"))
    shortcuts = [server.drive.add_shortcut("again", key, top) for key in (file, other)]
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=2)
        for shortcut in shortcuts:
            server.drive.delete(shortcut)
        run.wait(lambda: run.store.texts() == {})


def test_a_file_that_drive_says_is_gone_is_not_asked_for_again(server: DriveServer, top: str, tmp_path: Path) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with running(tmp_path, server, top) as run:
        run.wait_idle(processed=1)
        asked = server.requests.count("files.get")
        server.drive.delete(key)
        run.wait(lambda: run.store.texts() == {})
        assert server.requests.count("files.get") == asked


def test_without_a_confirmation_nothing_that_is_not_shown_counts_as_gone(
    server: DriveServer, top: str, tmp_path: Path
) -> None:
    key = server.drive.add_file("a.txt", "one", top)
    with seeing(tmp_path, server, top) as seen:
        assert seen.ids() == {key}
        server.drive.delete(key)
        found = seen.source.scan(go_on)
        assert found.may_exist(key)
        assert found.confirm_missing is not None
        assert not found.confirm_missing({key}, go_on).may_exist(key)
