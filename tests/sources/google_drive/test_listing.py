from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive import listing
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError, FileUnavailableError
from rag_pipeline.sources.google_drive.listing import Listing
from rag_pipeline.sources.google_drive.mirror import Mirror
from tests.drive import DriveServer, error
from tests.drive.faults import Fault, foreign
from tests.sources.google_drive.support import StopAfter, no_check, open_api


@pytest.fixture
def api(server: DriveServer) -> Iterator[DriveApi]:
    with open_api(server) as made:
        yield made


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Mirror(tmp_path / "mirror.sqlite3") as made:
        yield made


def begin(api: DriveApi, mirror: Mirror, folder: str) -> None:
    mirror.begin(api.file(folder), (), "me", "a token")


def known(mirror: Mirror) -> set[str]:
    return {file.id for file, _ in mirror.files()}


def grow(server: DriveServer, parent: str, *, width: int, depth: int, files: int) -> int:
    """Create a tree of folders with files; return the number of folders, the parent included."""
    for number in range(files):
        server.drive.add_file(f"{number}.txt", "x", parent)
    if depth == 0:
        return 1
    folders = [server.drive.add_folder(f"{number}", parent) for number in range(width)]
    return 1 + sum(grow(server, folder, width=width, depth=depth - 1, files=files) for folder in folders)


def test_everything_below_is_found_with_queries_for_many_folders_at_once(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    folders = grow(server, top, width=5, depth=3, files=2)
    server.drive.add_file("not below.txt", "x")
    begin(api, mirror, top)
    assert Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
    assert folders == 156
    # The top, its five folders, the 25 below them, and the 125 of the last level in two queries.
    assert server.requests.count("files.list") == 5
    assert not Listing(api, mirror).run(None, no_check)
    assert server.requests.count("files.list") == 5


def test_short_pages_are_followed(server: DriveServer, api: DriveApi, mirror: Mirror) -> None:
    server.behaviour.short_pages = True
    top = server.drive.add_folder("top")
    grow(server, top, width=3, depth=2, files=7)
    begin(api, mirror, top)
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)


def test_a_shared_drive_is_listed(server: DriveServer, api: DriveApi, mirror: Mirror) -> None:
    drive = server.drive.add_drive("Team")
    grow(server, drive, width=2, depth=2, files=2)
    begin(api, mirror, drive)
    Listing(api, mirror).run(drive, no_check)
    assert known(mirror) == server.drive.below(drive)
    assert len(known(mirror)) == 14


def test_an_interrupted_listing_continues_with_the_remaining_folders(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    grow(server, top, width=4, depth=3, files=1)
    begin(api, mirror, top)
    with pytest.raises(Stopped):
        Listing(api, mirror).run(None, StopAfter(2))
    assert 0 < len(known(mirror)) < len(server.drive.below(top))
    listings = server.requests.count("files.list")
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
    # No more than an undisturbed run: the top, 4, 16 and 64 folders.
    assert (listings, server.requests.count("files.list")) == (2, 4)


def test_an_expired_page_token_restarts_the_query(server: DriveServer, api: DriveApi, mirror: Mirror) -> None:
    server.behaviour.short_pages = True
    top = server.drive.add_folder("top")
    grow(server, top, width=2, depth=1, files=5)
    begin(api, mirror, top)
    expired: list[bool] = []

    def expire_once() -> None:
        if not expired and server.requests.count("files.list") == 2:
            server.expire_list_tokens()
            expired.append(True)

    Listing(api, mirror).run(None, expire_once)
    assert expired
    assert known(mirror) == server.drive.below(top)


def test_if_drive_finds_nothing_for_several_folders_each_is_queried_alone(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    server.behaviour.or_queries_miss = True
    top = server.drive.add_folder("top")
    grow(server, top, width=3, depth=2, files=2)
    begin(api, mirror, top)
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("short_pages", [True, False])
def test_if_drive_shows_only_some_of_several_folders_the_others_are_queried_alone(
    server: DriveServer, api: DriveApi, mirror: Mirror, share: float, short_pages: bool
) -> None:
    server.behaviour.or_queries_miss_share = share
    server.behaviour.short_pages = short_pages
    top = server.drive.add_folder("top")
    grow(server, top, width=4, depth=3, files=2)
    begin(api, mirror, top)
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
    assert mirror.unlisted(1) == []


def test_a_folder_without_entries_is_queried_alone(server: DriveServer, api: DriveApi, mirror: Mirror) -> None:
    top = server.drive.add_folder("top")
    folders = [server.drive.add_folder(f"{number}", top) for number in range(5)]
    for folder in folders[:3]:
        server.drive.add_file("a.txt", "x", folder)
    begin(api, mirror, top)
    Listing(api, mirror).run(None, no_check)
    # The top, its five folders, and each of the two that may be empty.
    assert server.requests.count("files.list") == 4


@pytest.mark.parametrize("missing_is_404", [True, False])
def test_a_folder_that_has_disappeared_does_not_affect_the_others(
    server: DriveServer, api: DriveApi, mirror: Mirror, missing_is_404: bool
) -> None:
    server.behaviour.missing_parent_is_404 = missing_is_404
    top = server.drive.add_folder("top")
    folders = [server.drive.add_folder(f"{number}", top) for number in range(8)]
    for folder in folders:
        server.drive.add_file("a.txt", "x", folder)
    begin(api, mirror, top)
    with pytest.raises(Stopped):
        Listing(api, mirror).run(None, StopAfter(1))
    server.drive.delete(folders[5])
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
    assert len(known(mirror)) == 7


def test_a_missing_watched_folder_is_not_taken_for_an_empty_one(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    begin(api, mirror, top)
    server.drive.delete(top)
    with pytest.raises(FileUnavailableError):
        Listing(api, mirror).run(None, no_check)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [error(404, "notFound"), error(403, "insufficientFilePermissions"), foreign(403)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_that_could_not_be_listed_once_is_retried(
    server: DriveServer, api: DriveApi, mirror: Mirror, fault: Fault, times: int
) -> None:
    top = server.drive.add_folder("top")
    grow(server, top, width=1, depth=1, files=2)
    begin(api, mirror, top)
    server.faults.add(fault, "files.list", after=1, times=times)
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
    assert len(known(mirror)) == 4


def test_an_existing_folder_that_is_never_listed_is_an_error_and_stays_in_the_mirror(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    sub = server.drive.add_folder("sub", top)
    begin(api, mirror, top)
    server.faults.add(error(404, "notFound"), "files.list", file=sub, times=None)
    with pytest.raises(DriveUnavailableError, match="does not list all of a folder"):
        Listing(api, mirror).run(None, no_check)
    assert mirror.unlisted(10) == [sub]
    server.faults.add(error(403, "insufficientFilePermissions"), "files.get", file=sub, times=None)
    with pytest.raises(DriveUnavailableError, match="a folder may not be read by these credentials"):
        Listing(api, mirror).run(None, no_check)
    assert mirror.unlisted(10) == [sub]
    server.faults.clear()
    Listing(api, mirror).run(None, no_check)
    assert mirror.unlisted(10) == []


def test_a_folder_that_was_trashed_meanwhile_need_not_be_listed(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    sub = server.drive.add_folder("sub", top)
    server.drive.add_file("a.txt", "a", sub)
    begin(api, mirror, top)
    with pytest.raises(Stopped):
        Listing(api, mirror).run(None, StopAfter(1))
    server.drive.trash(sub)
    server.faults.add(error(404, "notFound"), "files.list", file=sub, times=None)
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == set()
    assert mirror.file(sub) is not None


def test_an_incomplete_search_is_repeated_and_never_accepted(
    server: DriveServer, api: DriveApi, mirror: Mirror
) -> None:
    top = server.drive.add_folder("top")
    grow(server, top, width=3, depth=1, files=2)
    begin(api, mirror, top)
    server.behaviour.incomplete_searches = listing.MAX_ATTEMPTS
    with pytest.raises(DriveUnavailableError) as caught:
        Listing(api, mirror).run(None, no_check)
    assert caught.value.retry_seconds == 60.0
    server.behaviour.incomplete_searches = listing.MAX_ATTEMPTS - 1
    Listing(api, mirror).run(None, no_check)
    assert known(mirror) == server.drive.below(top)
