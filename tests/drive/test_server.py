"""The fake Drive server: rejected requests, the request log, and shutdown."""

from __future__ import annotations

import threading

import pytest
import requests

from tests.drive import resources
from tests.drive.client import DriveClient
from tests.drive.server import DriveServer


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("folders", {}, "no such path"),
        ("files", {"page_size": "1"}, "no parameter 'page_size'"),
        ("files", {"fields": "items(title)"}, "Invalid field selection items"),
        ("files", {"q": "fullText contains 'a'"}, "not modelled"),
        ("changes", {"pageToken": ""}, "Required parameter"),
        ("files/root", {"includeLabels": "a"}, "not modelled"),
        ("files/generateIds", {}, "wants more than"),
        ("files/a/comments", {"fields": "*"}, "not modelled"),
        ("files", {"q": "name = '" + "x" * 9000 + "'"}, "too long"),
    ],
)
def test_an_unknown_request_is_rejected_and_recorded_as_a_violation(
    server: DriveServer, asker: DriveClient, path: str, params: dict[str, str], said: str
) -> None:
    answer = asker.get(path, **params)
    assert answer.status_code >= 400
    assert answer.json()["error"]["errors"][0]["reason"]
    assert said in server.violations.pop()
    assert not server.violations


def test_a_writing_method_is_rejected(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a", "a")
    assert asker.session.delete(f"{server.url}/drive/v3/files/{file}", timeout=30).status_code == 403
    assert "files.delete wants more" in server.violations.pop()
    assert server.drive.item(file).name == "a"


@pytest.mark.parametrize("path", ["/", "/drive/v3", "/upload/drive/v3/files", "/docs/export/more"])
def test_other_paths_are_not_found(server: DriveServer, asker: DriveClient, path: str) -> None:
    assert asker.session.get(server.url + path, timeout=30).status_code == 404
    assert server.violations.pop()


def test_a_block_with_a_violation_fails_at_its_end() -> None:
    with pytest.raises(AssertionError, match="no such path"), DriveServer() as server:
        requests.get(f"{server.url}/drive/v3/folders", timeout=30)


def test_a_block_that_failed_keeps_its_own_error() -> None:
    with pytest.raises(requests.HTTPError), DriveServer() as server:
        requests.get(f"{server.url}/drive/v3/folders", timeout=30).raise_for_status()


def test_a_response_that_drive_could_not_give_is_a_bug_of_the_server(
    server: DriveServer, asker: DriveClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "about", lambda: {"kind": "drive#about", "mood": "fine"})
    assert asker.get("about", fields="*").status_code == 500
    assert "the tests' Drive failed" in server.violations.pop()


def test_a_request_without_a_valid_token_is_rejected(server: DriveServer, asker: DriveClient) -> None:
    asker.session.headers["Authorization"] = "Bearer another"
    assert asker.refused("files") == (401, "authError")


def test_requests_are_logged_without_their_tokens(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a", "hello")
    asker.get(f"files/{file}", {"Range": "bytes=1-2"}, alt="media")
    asker.json("files", q="trashed = false")
    media, listing = server.requests
    assert (media.operation, media.status, media.bytes_out, media.headers["range"]) == ("media", 206, 2, "bytes=1-2")
    assert (listing.operation, listing.query) == ("files.list", {"q": "trashed = false"})
    assert "authorization" not in media.headers
    assert server.requests.count() == 2
    assert server.requests.count("media") == 1
    assert server.requests.bytes_out("media") == 2
    server.requests.clear()
    assert server.requests.operations() == {}


def test_connections_are_reused_and_served_concurrently(server: DriveServer) -> None:
    file = server.drive.add_file("a", "hello")
    wrong: list[bytes] = []

    def ask() -> None:
        asker = DriveClient(server)
        got = [asker.get(f"files/{file}", alt="media").content for _ in range(20)]
        wrong.extend(content for content in got if content != b"hello")
        asker.session.close()

    before = threading.active_count()
    askers = [threading.Thread(target=ask) for _ in range(8)]
    for thread in askers:
        thread.start()
    for thread in askers:
        thread.join(60)
    assert not wrong
    assert server.requests.count("media") == 160
    assert threading.active_count() <= before + 8


def test_closing_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    with DriveServer() as server:
        asker = DriveClient(server)
        asker.json("files")
    server.close()
    assert set(threading.enumerate()) == before
    with pytest.raises(requests.ConnectionError):
        asker.get("files")
    asker.session.close()
