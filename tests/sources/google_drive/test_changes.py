from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive import changes
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError, PageTokenGoneError
from rag_pipeline.sources.google_drive.listing import Listing
from rag_pipeline.sources.google_drive.mirror import Mirror
from tests.drive import SHARED_WITH_ME, DriveServer, server_error
from tests.sources.google_drive.support import StopAfter, no_check, open_api


class Followed:
    """A folder of the fake Drive, with its mirror."""

    def __init__(self, server: DriveServer, api: DriveApi, mirror: Mirror, drive_id: str | None = None) -> None:
        self.server = server
        self.api = api
        self.mirror = mirror
        self.drive_id = drive_id
        self.top = server.drive.add_folder("top", drive_id)
        self.sub = server.drive.add_folder("sub", self.top)
        self.file = server.drive.add_file("a.txt", "hello", self.sub)
        mirror.begin(api.file(self.top), api.file(self.top).parents, "me", api.start_page_token(drive_id))
        self.list()

    def list(self) -> None:
        Listing(self.api, self.mirror).run(self.drive_id, no_check)
        self.mirror.prune()

    def follow(self, check: Callable[[], None] = no_check) -> set[str]:
        """Apply the changes, and return the ids of the files in the mirror."""
        changes.apply_changes(self.api, self.mirror, self.drive_id, check)
        self.list()
        return {file.id for file, _ in self.mirror.files()}

    def missed(self) -> bool:
        position = self.mirror.position
        assert position is not None
        return position.needs_full_pass


@pytest.fixture
def followed(server: DriveServer, tmp_path: Path) -> Iterator[Followed]:
    with open_api(server) as api, Mirror(tmp_path / "mirror.sqlite3") as mirror:
        yield Followed(server, api, mirror)


def test_new_renamed_and_changed_files_are_applied_and_others_ignored(followed: Followed) -> None:
    drive = followed.server.drive
    new = drive.add_file("new.txt", "x", followed.sub)
    drive.add_file("elsewhere.txt", "x")
    drive.rename(followed.file, "b.txt")
    drive.set_content(followed.file, "changed")
    assert followed.follow() == {followed.file, new}
    file = followed.mirror.file(followed.file)
    assert file is not None
    assert (file.name, file.size, file.md5) == ("b.txt", 7, drive.item(followed.file).md5)


def test_without_changes_there_is_one_request_and_no_write(followed: Followed) -> None:
    revision = followed.mirror.revision
    followed.server.requests.clear()
    assert followed.follow() == {followed.file}
    assert [request.operation for request in followed.server.requests] == ["changes.list"]
    assert followed.mirror.revision == revision


@pytest.mark.parametrize("entries_for_descendants", [False, True])
def test_a_folder_that_leaves_takes_its_content_along_and_brings_it_back(
    followed: Followed, entries_for_descendants: bool
) -> None:
    drive = followed.server.drive
    followed.server.behaviour.entries_for_descendants = entries_for_descendants
    elsewhere = drive.add_folder("elsewhere")
    deep = drive.add_folder("deep", followed.sub)
    below = drive.add_file("below.txt", "x", deep)
    assert followed.follow() == {followed.file, below}
    ways: tuple[tuple[Callable[[], None], Callable[[], None]], ...] = (
        (lambda: drive.trash(followed.sub), lambda: drive.untrash(followed.sub)),
        (lambda: drive.move(followed.sub, elsewhere), lambda: drive.move(followed.sub, followed.top)),
        (lambda: drive.revoke(followed.sub), lambda: drive.grant(followed.sub)),
    )
    for away, back in ways:
        away()
        assert followed.follow() == set()
        back()
        assert followed.follow() == {followed.file, below}
    drive.delete(followed.sub)
    assert followed.follow() == set()


@pytest.mark.parametrize("entries_for_descendants", [False, True])
def test_a_single_file_leaves_and_returns(followed: Followed, entries_for_descendants: bool) -> None:
    drive = followed.server.drive
    followed.server.behaviour.entries_for_descendants = entries_for_descendants
    for away, back in (
        (drive.trash, drive.untrash),
        (drive.revoke, drive.grant),
        (lambda key: drive.move(key, drive.root_id), lambda key: drive.move(key, followed.top)),
    ):
        away(followed.file)
        assert followed.follow() == set()
        back(followed.file)
        assert followed.follow() == {followed.file}
    drive.delete(followed.file)
    assert followed.follow() == set()


def test_a_folder_that_is_moved_into_one_that_is_moved_in_is_found(followed: Followed) -> None:
    drive = followed.server.drive
    outside = drive.add_folder("outside")
    drive.move(followed.sub, outside)
    drive.move(outside, followed.top)
    followed.server.requests.clear()
    assert followed.follow() == {followed.file}
    # The content of the inner folder was always visible.
    assert followed.server.requests.count("files.list") == 1


def test_a_file_stays_while_one_of_its_parents_does(followed: Followed) -> None:
    drive = followed.server.drive
    drive.add_parent(followed.file, followed.top)
    assert followed.follow() == {followed.file}
    drive.trash(followed.sub)
    assert followed.follow() == {followed.file}
    drive.remove_parent(followed.file, followed.top)
    assert followed.follow() == set()


def test_after_a_stop_between_two_pages_the_second_page_is_next(followed: Followed) -> None:
    drive = followed.server.drive
    followed.server.behaviour.short_pages = True
    new = {drive.add_file(f"{number}.txt", "x", followed.sub) for number in range(30)}
    with pytest.raises(Stopped):
        followed.follow(StopAfter(2))
    first = followed.server.requests.count("changes.list")
    followed.server.faults.add(server_error(), "changes.list", times=100)
    with pytest.raises(DriveUnavailableError):
        followed.follow()
    followed.server.faults.clear()
    assert followed.follow() == {followed.file, *new}
    page_tokens = [
        r.query["pageToken"] for r in followed.server.requests if r.operation == "changes.list" and not r.fault
    ]
    assert first == 2
    assert not set(page_tokens[:2]) & set(page_tokens[2:])


def test_an_expired_token_is_an_error_and_stays_saved(followed: Followed) -> None:
    for status in (410, 400):
        followed.server.behaviour.gone_status = status
        followed.server.expire_change_tokens()
        with pytest.raises(PageTokenGoneError):
            followed.follow()


def test_a_change_of_the_watched_folder_or_an_ancestor_requires_a_full_pass(
    server: DriveServer, tmp_path: Path
) -> None:
    above = server.drive.add_folder("above")
    with open_api(server) as api, Mirror(tmp_path / "mirror.sqlite3") as mirror:
        followed = Followed(server, api, mirror, None)
        server.drive.move(followed.top, above)
        followed.follow()
        assert followed.missed()
        mirror.begin(api.file(followed.top), [above], "me", api.start_page_token(None))
        assert not followed.missed()
        server.drive.trash(above)
        followed.follow()
        assert followed.missed()


def test_a_shared_drive_has_its_own_log_of_changes(server: DriveServer, tmp_path: Path) -> None:
    drive = server.drive.add_drive("Team")
    with open_api(server) as api, Mirror(tmp_path / "mirror.sqlite3") as mirror:
        followed = Followed(server, api, mirror, drive)
        new = server.drive.add_file("new.txt", "x", followed.top)
        mine = server.drive.add_file("mine.txt", "x")
        assert followed.follow() == {followed.file, new}
        server.drive.move(mine, followed.sub)
        server.drive.move(new, server.drive.root_id)
        assert followed.follow() == {followed.file, mine}


def test_a_folder_shared_by_another_person_is_followed(server: DriveServer, tmp_path: Path) -> None:
    with open_api(server) as api, Mirror(tmp_path / "mirror.sqlite3") as mirror:
        followed = Followed(server, api, mirror)
        theirs = server.drive.add_folder("theirs", SHARED_WITH_ME)
        file = server.drive.add_file("theirs.txt", "x", theirs)
        mirror.begin(api.file(theirs), (), "me", api.start_page_token(None))
        assert followed.follow() == {file}
        new = server.drive.add_file("new.txt", "x", theirs)
        assert followed.follow() == {file, new}
