from __future__ import annotations

import time
from pathlib import Path

import pytest

from rag_pipeline.sources.google_drive import shortcuts
from tests.drive import ELSEWHERE, DriveServer
from tests.sources.google_drive.support import OpenedSource, open_source


def look_later(seen: OpenedSource, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Scan as if the lookups had been made long ago."""
    with monkeypatch.context() as patched:
        patched.setattr(shortcuts, "RECHECK_SECONDS", 0.0)
        return seen.ids()


def test_shortcuts_to_files_are_followed_and_each_file_counts_once(tmp_path: Path) -> None:
    with DriveServer() as server:
        drive = server.drive
        top = drive.add_folder("top")
        near = drive.add_file("near.txt", "x", top)
        far = drive.add_file("far.txt", "x")
        team = drive.add_file("team.txt", "x", drive.add_drive("Team"))
        shortcuts = [drive.add_shortcut("s", target, top) for target in (near, far, far, team)]
        with open_source(tmp_path, server, top) as seen:
            assert seen.ids() == {near, far, team} == drive.below(top)
            reasons = seen.reasons()
            assert reasons[shortcuts[0]] == "the same file as near.txt (a shortcut)"
            # Of two shortcuts to one file, every scan follows the same one.
            [other] = set(reasons) - {shortcuts[0]}
            assert (reasons[other], other) == ("the same file as far.txt (a shortcut)", max(shortcuts[1:3]))
            server.requests.clear()
            seen.ids()
            assert [request.operation for request in server.requests] == ["changes.list"]
            drive.set_content(far, "changed")
            assert seen.source.scan(lambda: None).files[far].version == f"md5:{drive.item(far).md5}"


def test_shortcuts_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    with DriveServer() as server:
        drive = server.drive
        top = drive.add_folder("top")
        sub = drive.add_folder("sub", top)
        outside = drive.add_folder("outside")
        file = drive.add_file("a.txt", "x", drive.add_folder("deep", outside))
        drive.add_shortcut("to the outside", outside, sub)
        drive.add_shortcut("back", sub, outside)
        drive.add_shortcut("again", outside, top)
        with open_source(tmp_path, server, top) as seen:
            assert seen.ids() == {file} == drive.below(top)
            new = drive.add_file("new.txt", "x", outside)
            assert seen.ids() == {file, new}
            drive.trash(outside)
            assert seen.ids() == set()
            assert set(seen.reasons().values()) == {shortcuts.TRASHED}
            drive.untrash(outside)
            assert seen.ids() == {file, new}


def test_a_shortcut_to_an_ancestor_is_not_followed(tmp_path: Path) -> None:
    with DriveServer() as server:
        drive = server.drive
        above = drive.add_folder("above")
        top = drive.add_folder("top", above)
        drive.add_file("secret.txt", "x", above)
        up, self = drive.add_shortcut("up", above, top), drive.add_shortcut("self", top, top)
        with open_source(tmp_path, server, top) as seen:
            assert seen.ids() == set()
            # A shortcut to the folder itself is a harmless loop.
            assert seen.reasons() == {up: shortcuts.ANCESTOR}
            assert self not in seen.reasons()


def test_a_shortcut_to_a_folder_on_another_drive_is_not_followed(tmp_path: Path) -> None:
    with DriveServer() as server:
        drive = server.drive
        top = drive.add_folder("top")
        team = drive.add_folder("papers", drive.add_drive("Team"))
        drive.add_file("a.txt", "x", team)
        shortcut = drive.add_shortcut("to the team", team, top)
        with open_source(tmp_path, server, top) as seen:
            assert seen.ids() == set()
            assert seen.reasons() == {shortcut: shortcuts.OTHER_DRIVE}


def test_targets_without_reported_changes_are_looked_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DriveServer() as server:
        drive = server.drive
        top = drive.add_folder("top")
        team = drive.add_file("team.txt", "x", drive.add_drive("Team"))
        lost = drive.add_file("lost.txt", "x", ELSEWHERE)
        to_team, to_lost = drive.add_shortcut("s", team, top), drive.add_shortcut("t", lost, top)
        with open_source(tmp_path, server, top) as seen:
            assert seen.ids() == {team}
            assert seen.reasons() == {
                to_lost: "a shortcut to something that is not there, or not shared with these credentials"
            }
            before = seen.source.scan(lambda: None).files[team].version
            drive.set_content(team, "changed")
            seen.ids()
            assert seen.source.scan(lambda: None).files[team].version == before
            look_later(seen, monkeypatch)
            assert seen.source.scan(lambda: None).files[team].version != before
            # Drive reports at once that it is visible now.
            drive.grant(lost)
            assert seen.ids() == {team, lost}
            drive.delete(team)
            assert look_later(seen, monkeypatch) == {lost}
            assert list(seen.reasons()) == [to_team]


def test_targets_looked_up_with_a_fast_clock_are_looked_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DriveServer() as server:
        drive = server.drive
        top = drive.add_folder("top")
        lost = drive.add_file("lost.txt", "x", ELSEWHERE)
        near = drive.add_file("near.txt", "x")
        for target in (lost, near):
            drive.add_shortcut("s", target, top)
        with open_source(tmp_path, server, top) as seen:
            now = time.time()
            with monkeypatch.context() as patched:
                patched.setattr(time, "time", lambda: now + 86400)
                assert seen.ids() == {near}
            server.requests.clear()
            assert seen.ids() == {near}
            # For targets with reported changes, the clock does not matter.
            assert [request.operation for request in server.requests] == ["changes.list", "files.get"]
