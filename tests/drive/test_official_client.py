"""Google's official client works with the fake Drive."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.oauth2.service_account import Credentials

from tests.drive import DriveServer, Generated, corrupt, error, server_error
from tests.drive.grants import SCOPE
from tests.drive.model import SHARED_WITH_ME

# None of these has types.
httplib2: Any = importlib.import_module("httplib2")
google_auth_httplib2: Any = importlib.import_module("google_auth_httplib2")
discovery: Any = importlib.import_module("googleapiclient.discovery")
media: Any = importlib.import_module("googleapiclient.http")
errors: Any = importlib.import_module("googleapiclient.errors")
credentials_of: Callable[..., Any] = Credentials.from_service_account_info

ALL = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}


@pytest.fixture
def service(server: DriveServer) -> Iterator[Any]:
    """The official client, with a service account's credentials."""
    plain = httplib2.Http(proxy_info=None, timeout=30)
    http = google_auth_httplib2.AuthorizedHttp(credentials_of(server.service_account(), scopes=[SCOPE]), http=plain)
    built = discovery.build(
        "drive",
        "v3",
        http=http,
        static_discovery=True,
        cache_discovery=False,
        client_options={"api_endpoint": f"{server.url}/drive/v3/"},
    )
    yield built
    built.close()


def downloaded(request: Any, chunk_bytes: int) -> bytes:
    target = io.BytesIO()
    download = media.MediaIoBaseDownload(target, request, chunksize=chunk_bytes)
    done = False
    while not done:
        _, done = download.next_chunk()
    return target.getvalue()


def test_it_lists_page_by_page(server: DriveServer, service: Any) -> None:
    folder = server.drive.add_folder("it's a folder")
    files = {server.drive.add_file(f"{number}.txt", "x", folder) for number in range(25)}
    request = service.files().list(
        q=f"'{folder}' in parents and trashed = false", pageSize=10, fields="nextPageToken,files(id,name,md5Checksum)"
    )
    seen = []
    while request is not None:
        page = request.execute()
        seen += [file["id"] for file in page["files"]]
        request = service.files().list_next(request, page)
    assert sorted(seen) == sorted(files)
    assert server.requests.count("files.list") == 3


def test_it_gets_the_metadata_of_a_file(server: DriveServer, service: Any) -> None:
    file = server.drive.add_file("a.txt", "hello")
    assert set(service.files().get(fileId=file).execute()) == {"kind", "id", "name", "mimeType"}
    assert service.files().get(fileId=file, fields="size").execute() == {"size": "5"}


def test_it_downloads_in_chunks(server: DriveServer, service: Any) -> None:
    content = Generated(3_000_000, 1)
    file = server.drive.add_file("large.bin", content)
    got = downloaded(service.files().get_media(fileId=file), 1 << 20)
    assert got == b"".join(content.read(0, content.size))
    assert [request.status for request in server.requests if request.operation == "media"] == [206, 206, 206]


def test_it_downloads_an_empty_file(server: DriveServer, service: Any) -> None:
    assert downloaded(service.files().get_media(fileId=server.drive.add_file("empty", b"")), 1 << 20) == b""


def test_it_exports(server: DriveServer, service: Any) -> None:
    doc = server.drive.add_doc("d", "# Title")
    assert service.files().export(fileId=doc, mimeType="text/markdown").execute() == b"# Title"
    assert downloaded(service.files().export_media(fileId=doc, mimeType="text/markdown"), 1 << 20) == b"# Title"


def test_it_follows_the_changes(server: DriveServer, service: Any) -> None:
    file, doomed = server.drive.add_file("a.txt", "a"), server.drive.add_file("b.txt", "b", SHARED_WITH_ME)
    token = service.changes().getStartPageToken().execute()["startPageToken"]
    server.drive.rename(file, "c.txt")
    server.drive.revoke(doomed)
    request = service.changes().list(pageToken=token, pageSize=1)
    seen = []
    while request is not None:
        page = request.execute()
        seen += [(change["fileId"], change["removed"]) for change in page["changes"]]
        request = service.changes().list_next(request, page)
    assert seen == [(file, False), (doomed, True)]
    assert service.changes().list(pageToken=page["newStartPageToken"]).execute()["changes"] == []


def test_it_sees_shared_drives_on_request(server: DriveServer, service: Any) -> None:
    drive = server.drive.add_drive("team")
    file = server.drive.add_file("a.txt", "a", drive)
    assert service.files().list(corpora="drive", driveId=drive, **ALL).execute()["files"][0]["id"] == file
    assert service.drives().get(driveId=drive).execute()["name"] == "team"
    token = service.changes().getStartPageToken(driveId=drive, supportsAllDrives=True).execute()["startPageToken"]
    server.drive.trash(file)
    page = service.changes().list(pageToken=token, driveId=drive, fields="changes(file(trashed))", **ALL).execute()
    assert page == {"changes": [{"file": {"trashed": True}}]}


def test_it_understands_the_errors(server: DriveServer, service: Any) -> None:
    for status, reason in [(403, "appNotAuthorizedToFile"), (404, "notFound"), (429, "rateLimitExceeded")]:
        server.faults.add(error(status, reason), "files.list")
        with pytest.raises(errors.HttpError) as refused:
            service.files().list().execute()
        assert (refused.value.status_code, refused.value.error_details[0]["reason"]) == (status, reason)


def test_it_retries_temporary_errors(server: DriveServer, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []  # which is not what is tested
    monkeypatch.setattr(media.time, "sleep", waited.append)
    for fault in (server_error(), error(403, "userRateLimitExceeded"), error(403, "rateLimitExceeded")):
        planned = server.faults.add(fault, "files.list")
        assert service.files().list().execute(num_retries=1)["files"] == []
        assert planned.hits == 1


def test_it_signs_in_again_when_its_token_has_expired(server: DriveServer, service: Any) -> None:
    service.files().list().execute()
    server.grants.expire_access_tokens()
    assert service.files().list().execute()["files"] == []
    assert server.requests.count("token") == 2


def test_it_does_not_notice_corrupt_content_so_the_pipeline_must(server: DriveServer, service: Any) -> None:
    file = server.drive.add_file("a.txt", "hello")
    server.faults.add(corrupt(), "media")
    assert downloaded(service.files().get_media(fileId=file), 1 << 20) != b"hello"


def test_requests_that_it_refuses_are_rejected_here_too(server: DriveServer, service: Any) -> None:
    with pytest.raises(TypeError):
        service.files().list(page_size=1)
    with pytest.raises(errors.HttpError, match="Invalid field selection items"):
        service.files().list(fields="items(title)").execute()
    assert len(server.violations) == 1
    server.violations.clear()
