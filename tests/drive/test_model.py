"""The log of changes for all operations of the model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.drive.api_errors import ApiError
from tests.drive.change_log import ChangeLog
from tests.drive.client import DriveClient, Json
from tests.drive.model import ELSEWHERE, SHARED_WITH_ME, Behaviour, Drive
from tests.drive.server import DriveServer

ALL = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}


def test_a_move_is_a_change_with_other_parents(server: DriveServer, asker: DriveClient) -> None:
    watched, other = server.drive.add_folder("watched"), server.drive.add_folder("other")
    file = server.drive.add_file("a.txt", "a", watched)
    token = asker.token()
    server.drive.move(file, other)
    assert asker.changes(token) == {"a.txt": other}


def test_a_folder_that_is_moved_is_the_only_change(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.entries_for_descendants = True  # what is below has not changed in any way
    one, two = server.drive.add_folder("one"), server.drive.add_folder("two")
    inner = server.drive.add_folder("inner", one)
    server.drive.add_file("a.txt", "a", inner)
    token = asker.token()
    server.drive.move(inner, two)
    assert asker.changes(token)["inner"] == two


@pytest.mark.parametrize(("told", "names"), [(False, {"inner"}), (True, {"inner", "a.txt"})])
def test_a_trashed_folder_trashes_its_content_with_or_without_changes(
    server: DriveServer, asker: DriveClient, told: bool, names: set[str]
) -> None:
    server.behaviour.entries_for_descendants = told
    inner = server.drive.add_folder("inner")
    file = server.drive.add_file("a.txt", "a", inner)
    token = asker.token()
    server.drive.trash(inner)
    assert asker.changes(token) == dict.fromkeys(names, "trashed")
    assert asker.json(f"files/{file}", fields="trashed,explicitlyTrashed") == {
        "trashed": True,
        "explicitlyTrashed": False,
    }


def test_a_deleted_or_unshared_item_is_reported_as_removed_with_its_id_only(
    server: DriveServer, asker: DriveClient
) -> None:
    deleted, revoked = server.drive.add_file("a", "a"), server.drive.add_file("b", "b", SHARED_WITH_ME)
    token = asker.token()
    server.drive.delete(deleted)
    server.drive.revoke(revoked)
    page = asker.json("changes", pageToken=token, fields="changes")
    assert [(one["fileId"], one["removed"], "file" in one) for one in page["changes"]] == [
        (deleted, True, False),
        (revoked, True, False),
    ]
    assert asker.json("changes", pageToken=token, includeRemoved="false")["changes"] == []


def test_an_item_moved_out_of_sight_is_reported_as_removed(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("shared", SHARED_WITH_ME)
    file = server.drive.add_file("a", "a", folder)
    token = asker.token()
    server.drive.move(file, ELSEWHERE)
    assert asker.changes(token) == {file: "removed"}
    assert asker.refused(f"files/{file}") == (404, "notFound")


def test_a_shared_folder_has_no_visible_parents(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("shared", SHARED_WITH_ME)
    file = server.drive.add_file("a", "a", folder)
    assert "parents" not in asker.json(f"files/{folder}", fields="*")
    assert asker.json(f"files/{file}", fields="parents") == {"parents": [folder]}


def test_a_newer_change_replaces_an_older_one_and_shows_the_current_state(
    server: DriveServer, asker: DriveClient
) -> None:
    one, two = server.drive.add_file("one", "1"), server.drive.add_file("two", "2")
    token = asker.token()
    server.drive.rename(one, "uno")
    server.drive.rename(two, "due")
    server.drive.rename(one, "eins")
    assert list(asker.changes(token)) == ["due", "eins"]


def test_a_shared_drive_has_its_own_log(server: DriveServer, asker: DriveClient) -> None:
    drive = server.drive.add_drive("team")
    user_token, drive_token = asker.token(), asker.token(driveId=drive, supportsAllDrives="true")
    server.drive.add_file("a.txt", "a", drive)
    assert asker.changes(user_token, **ALL) == {}
    assert asker.changes(drive_token, driveId=drive, **ALL) == {"a.txt": drive}
    assert asker.refused("changes", pageToken=drive_token, driveId=drive) == (400, "invalid")
    assert asker.refused("changes", pageToken=user_token, driveId=drive, **ALL) == (400, "invalid")


def test_items_of_shared_drives_can_appear_in_the_user_s_log(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.user_feed_has_drives = True
    drive = server.drive.add_drive("team")
    token = asker.token()
    server.drive.add_file("a.txt", "a", drive)
    assert asker.changes(token, **ALL) == {"a.txt": drive}
    assert asker.changes(token) == {}


def test_an_item_moved_into_a_shared_drive_is_removed_from_the_user_s_log(
    server: DriveServer, asker: DriveClient
) -> None:
    drive = server.drive.add_drive("team")
    folder = server.drive.add_folder("f")
    file = server.drive.add_file("a.txt", "a", folder)
    user_token, drive_token = asker.token(), asker.token(driveId=drive, supportsAllDrives="true")
    server.drive.move(folder, drive)
    assert asker.changes(user_token, **ALL) == {folder: "removed", file: "removed"}
    assert asker.changes(drive_token, driveId=drive, **ALL) == {"f": drive, "a.txt": folder}
    page = asker.json("changes", pageToken=user_token, includeCorpusRemovals="true", fields="changes(removed,file/id)")
    assert all("file" in change for change in page["changes"])


def test_a_former_member_sees_neither_the_drive_nor_its_log(server: DriveServer, asker: DriveClient) -> None:
    drive = server.drive.add_drive("team")
    token = asker.token()
    server.drive.revoke(drive)
    assert asker.changes(token, **ALL) == {"a drive": "removed"}
    assert asker.refused("changes/startPageToken", driveId=drive, supportsAllDrives="true") == (404, "notFound")
    assert asker.refused(f"drives/{drive}") == (404, "notFound")


def test_a_single_shared_file_of_another_s_drive_is_in_the_user_s_log(server: DriveServer, asker: DriveClient) -> None:
    drive = server.drive.add_drive("theirs")
    file = server.drive.add_file("a.txt", "a", drive)
    server.drive.revoke(drive)
    server.drive.grant(file)
    token = asker.token()
    server.drive.touch(file)
    page = asker.json("changes", pageToken=token, **ALL)
    assert [change["fileId"] for change in page["changes"]] == [file]


def test_changes_can_be_restricted_to_my_drive(server: DriveServer, asker: DriveClient) -> None:
    token = asker.token()
    server.drive.add_file("mine", "a")
    server.drive.add_file("theirs", "b", SHARED_WITH_ME)
    page = asker.json("changes", pageToken=token, restrictToMyDrive="true")
    assert [change["file"]["name"] for change in page["changes"]] == ["mine"]


def test_a_touched_file_has_a_new_version_and_date_and_the_same_md5(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a", "a")
    known = "version", "modifiedTime", "headRevisionId", "md5Checksum"
    before = asker.json(f"files/{file}", fields=",".join(known))
    server.drive.touch(file)
    after = asker.json(f"files/{file}", fields=",".join(known))
    assert [name for name in known if before[name] != after[name]] == ["version", "modifiedTime", "headRevisionId"]


def test_short_pages_together_have_every_change(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.short_pages = True
    token = asker.token()
    made = {server.drive.add_file(str(number), "x") for number in range(50)}
    seen: set[str] = set()
    page: Json = {"nextPageToken": token}
    while "nextPageToken" in page:
        page = asker.json("changes", pageToken=page["nextPageToken"], pageSize="20")
        seen |= {change["fileId"] for change in page["changes"]}
    assert seen == made
    assert asker.json("changes", pageToken=page["newStartPageToken"])["changes"] == []


@pytest.mark.parametrize("status", [400, 410])
def test_expired_tokens_are_rejected_and_new_ones_work(server: DriveServer, asker: DriveClient, status: int) -> None:
    server.behaviour.gone_status = status
    old = asker.token()
    server.expire_change_tokens()
    assert asker.refused("changes", pageToken=old)[0] == status
    assert asker.changes(asker.token()) == {}


@pytest.mark.parametrize("token", ["12", "not a token", "¤", "AAAA", "====="])
def test_an_invalid_token_is_rejected(token: str) -> None:
    with pytest.raises(ApiError) as refused:
        ChangeLog("user").number_of(token, 410)
    assert refused.value.status == 400


def test_below_returns_each_file_once_despite_several_parents_and_loops_of_shortcuts() -> None:
    drive = Drive(Behaviour())
    top, inner = drive.add_folder("top"), drive.add_folder("inner")
    drive.move(inner, top)
    twice = drive.add_file("twice", "x", inner)
    drive.add_parent(twice, top)
    outside = drive.add_file("outside", "x")
    drive.add_shortcut("to a file", outside, inner)
    drive.add_shortcut("to a folder above", top, inner)
    drive.add_shortcut("to nothing", "1gone", inner)
    drive.trash(drive.add_file("trashed", "x", inner))
    assert drive.below(top) == {twice, outside}


class Follower(RuleBasedStateMachine):
    """A follower of the log knows the current state of every file after any sequence of events."""

    items: st.SearchStrategy[int] = st.integers(0, 30)

    @initialize()
    def begin(self) -> None:
        self.drive = Drive(Behaviour(entries_for_descendants=True))
        self.seen = self.drive.user_feed.number_of(self.drive.user_feed.token(), 410)
        self.known: dict[str, tuple[str, bool]] = {}
        self.drive.add_folder("first")

    def pick(self, number: int) -> str:
        there = [item for item in self.drive.items if item != self.drive.root_id]
        return there[number % len(there)] if there else self.drive.add_folder("another")

    def folder(self, number: int) -> str:
        folders = [item.id for item in self.drive.items.values() if item.is_folder]
        return folders[number % len(folders)]

    @rule(parent=items, folder=st.booleans())
    def add(self, parent: int, folder: bool) -> None:
        if folder:
            self.drive.add_folder("folder", self.folder(parent))
        else:
            self.drive.add_file("file", "x", self.folder(parent))

    @rule(which=items, to=items)
    def move(self, which: int, to: int) -> None:
        item, folder = self.drive.item(self.pick(which)), self.folder(to)
        if folder not in {item.id, *(one.id for one in self.drive.descendants(item))}:
            self.drive.move(item.id, folder)

    @rule(which=items, verb=st.sampled_from(["trash", "untrash", "delete", "revoke", "grant", "touch"]))
    def do(self, which: int, verb: str) -> None:
        getattr(self.drive, verb)(self.pick(which))

    @rule(which=items, name=st.sampled_from("abc"))
    def rename(self, which: int, name: str) -> None:
        self.drive.rename(self.pick(which), name)

    @invariant()
    def all_is_known(self) -> None:
        for entry in list(self.drive.user_feed.after(self.seen)):
            self.seen = entry.number
            item = self.drive.items.get(entry.subject)
            if item is None or not self.drive.can_see(item):
                self.known.pop(entry.subject, None)
            else:
                self.known[item.id] = self.told(item.id)
        there = {item.id for item in self.drive.items.values() if self.drive.can_see(item)} - {self.drive.root_id}
        assert self.known == {item: self.told(item) for item in there}

    def told(self, item_id: str) -> tuple[str, bool]:
        item = self.drive.item(item_id)
        return item.name, item.trashed


Follower.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestFollower = Follower.TestCase
