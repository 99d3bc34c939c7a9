"""``files.list`` over HTTP."""

from __future__ import annotations

import pytest

from tests.drive.client import DriveClient, ids_of
from tests.drive.documents import FOLDER
from tests.drive.model import SHARED_WITH_ME
from tests.drive.server import DriveServer

ALL = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}


def in_folder(*folders: str) -> str:
    either = " or ".join(f"'{folder}' in parents" for folder in folders)
    return f"({either}) and trashed = false"


def test_children_of_several_folders_in_one_query(server: DriveServer, asker: DriveClient) -> None:
    one, two = server.drive.add_folder("one"), server.drive.add_folder("two")
    files = {server.drive.add_file("a", "a", one), server.drive.add_file("b", "b", two)}
    server.drive.trash(server.drive.add_file("c", "c", two))
    assert ids_of(asker.json("files", q=in_folder(one, two))) == files
    server.behaviour.or_queries_miss = True
    assert ids_of(asker.json("files", q=in_folder(one, two))) == set()
    assert ids_of(asker.json("files", q=in_folder(one))) != set()


def test_some_of_several_folders_can_be_left_out_silently_on_all_pages(server: DriveServer, asker: DriveClient) -> None:
    folders = [server.drive.add_folder(str(number)) for number in range(20)]
    files = {folder: {server.drive.add_file(str(number), "x", folder) for number in range(3)} for folder in folders}
    server.behaviour.or_queries_miss_share = 0.5
    page = asker.json("files", q=in_folder(*folders), pageSize="7")
    seen = ids_of(page)
    while "nextPageToken" in page:
        assert page["incompleteSearch"] is False
        page = asker.json("files", q=in_folder(*folders), pageSize="7", pageToken=page["nextPageToken"])
        seen |= ids_of(page)
    shown = [folder for folder in folders if files[folder] & seen]
    assert 0 < len(shown) < len(folders)
    assert seen == set().union(*(files[folder] for folder in shown))
    assert ids_of(asker.json("files", q=in_folder(folders[0]))) == files[folders[0]]


def test_an_unlisted_file_can_be_requested_by_id(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("one")
    file, other = server.drive.add_file("a", "a", folder), server.drive.add_file("b", "b", folder)
    server.behaviour.unlisted = {file}
    assert ids_of(asker.json("files", q=in_folder(folder))) == {other}
    assert asker.json(f"files/{file}")["id"] == file


def test_the_root_has_its_own_name_and_is_never_listed(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a", "a")
    assert ids_of(asker.json("files", q="'root' in parents")) == {file}
    assert ids_of(asker.json("files")) == {file}
    assert asker.json("files/root")["id"] == server.drive.root_id


def test_pages_have_every_item_once_even_during_changes(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("f")
    files = [server.drive.add_file(str(number), "x", folder) for number in range(30)]
    first = asker.json("files", q=in_folder(folder), pageSize="10")
    shown = ids_of(first)
    server.drive.delete(sorted(shown)[-1])  # where the next page begins
    second = asker.json("files", q=in_folder(folder), pageSize="10", pageToken=first["nextPageToken"])
    third = asker.json("files", q=in_folder(folder), pageSize="10", pageToken=second["nextPageToken"])
    assert shown | ids_of(second) | ids_of(third) == set(files)
    assert "nextPageToken" not in third


def test_short_pages_are_complete_in_the_end(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.short_pages = True
    files = {server.drive.add_file(str(number), "x") for number in range(40)}
    page = asker.json("files")
    seen, sizes = ids_of(page), {len(page["files"])}
    while "nextPageToken" in page:
        page = asker.json("files", pageToken=page["nextPageToken"])
        seen |= ids_of(page)
        sizes.add(len(page["files"]))
    assert seen == files
    assert 0 in sizes


def test_a_page_token_works_only_for_the_same_request_and_expires(server: DriveServer, asker: DriveClient) -> None:
    for number in range(3):
        server.drive.add_file(str(number), "x")
    token = asker.json("files", pageSize="1")["nextPageToken"]
    assert asker.refused("files", pageSize="2", pageToken=token) == (400, "invalid")
    server.expire_list_tokens()
    assert asker.refused("files", pageSize="1", pageToken=token) == (400, "invalid")


def test_items_of_shared_drives_are_listed_only_on_request(server: DriveServer, asker: DriveClient) -> None:
    drive = server.drive.add_drive("team")
    file = server.drive.add_file("a", "a", drive)
    mine = server.drive.add_file("b", "b")
    assert ids_of(asker.json("files", q=in_folder(drive))) == set()
    assert ids_of(asker.json("files", q=in_folder(drive), **ALL)) == {file}
    assert ids_of(asker.json("files")) == {mine}
    assert ids_of(asker.json("files", corpora="allDrives", **ALL)) == {file, mine}
    assert ids_of(asker.json("files", corpora="drive", driveId=drive, **ALL)) == {file}
    assert asker.refused(f"files/{file}") == (404, "notFound")
    assert asker.json(f"files/{file}", supportsAllDrives="true", fields="driveId") == {"driveId": drive}


@pytest.mark.parametrize(
    "params",
    [
        {"includeItemsFromAllDrives": "true"},
        {"corpora": "drive", **ALL},
        {"driveId": "0A", **ALL},
        {"corpora": "allDrives"},
        {"corpora": "everything"},
    ],
)
def test_contradicting_parameters_are_rejected(asker: DriveClient, params: dict[str, str]) -> None:
    assert asker.refused("files", **params)[0] in (400, 403)


def test_a_missing_or_invisible_folder_is_not_found_or_empty(server: DriveServer, asker: DriveClient) -> None:
    folder = server.drive.add_folder("shared", SHARED_WITH_ME)
    server.drive.revoke(folder)
    assert asker.refused("files", q=in_folder(folder)) == (404, "notFound")
    server.behaviour.missing_parent_is_404 = False
    assert asker.json("files", q=in_folder(folder))["files"] == []


def test_a_requested_order_is_respected(server: DriveServer, asker: DriveClient) -> None:
    for name in "bca":
        server.drive.add_file(name, "x")
    server.drive.add_folder("z")
    page = asker.json("files", orderBy="folder,name desc", fields="files(name,mimeType)")
    assert [file["name"] for file in page["files"]] == ["z", "c", "b", "a"]
    assert page["files"][0]["mimeType"] == FOLDER
    assert asker.refused("files", orderBy="title") == (400, "invalid")


def test_an_incomplete_search_is_flagged_and_leaves_files_out(server: DriveServer, asker: DriveClient) -> None:
    for number in range(4):
        server.drive.add_file(str(number), "x")
    server.behaviour.incomplete_searches = 1
    page = asker.json("files")
    assert (page["incompleteSearch"], len(page["files"])) == (True, 2)
    assert asker.json("files")["incompleteSearch"] is False
