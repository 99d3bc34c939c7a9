"""Files and their content over HTTP: metadata, downloads, exports."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from tests.drive.client import DriveClient
from tests.drive.content import Generated
from tests.drive.documents import DOCX, XLSX
from tests.drive.server import DriveServer

MARKDOWN = "text/markdown"


def test_a_file_has_the_requested_fields(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.txt", "hello")
    known = asker.json(f"files/{file}", fields="name,size,md5Checksum,mimeType,parents,capabilities/canDownload")
    assert known == {
        "name": "a.txt",
        "size": "5",
        "md5Checksum": "5d41402abc4b2a76b9719d911017c592",
        "mimeType": "text/plain",
        "parents": [server.drive.root_id],
        "capabilities": {"canDownload": True},
    }


def test_a_shortcut_has_its_target_and_no_content(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.txt", "hello")
    shortcut = server.drive.add_shortcut("to a.txt", file)
    assert asker.json(f"files/{shortcut}", fields="shortcutDetails,size") == {
        "shortcutDetails": {"targetId": file, "targetMimeType": "text/plain"}
    }
    assert asker.refused(f"files/{shortcut}", alt="media") == (403, "fileNotDownloadable")


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        (None, 200, b"hello", None),
        ("bytes=0-", 206, b"hello", "bytes 0-4/5"),
        ("bytes=2-", 206, b"llo", "bytes 2-4/5"),
        ("bytes=1-2", 206, b"el", "bytes 1-2/5"),
        ("bytes=1-99", 206, b"ello", "bytes 1-4/5"),
        ("bytes=-2", 206, b"lo", "bytes 3-4/5"),
        ("bytes=0-1,3-4", 200, b"hello", None),
        ("lines=1-", 200, b"hello", None),
    ],
)
def test_content_and_ranges_are_served(
    server: DriveServer, asker: DriveClient, asked: str | None, status: int, content: bytes, told: str | None
) -> None:
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": asked} if asked else None, alt="media")
    assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == (status, content, told)


@pytest.mark.parametrize("asked", ["bytes=5-", "bytes=9-12", "bytes=-0"])
def test_a_range_outside_the_file_is_an_error(server: DriveServer, asker: DriveClient, asked: str) -> None:
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": asked}, alt="media")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */5")


def test_ranges_can_be_ignored(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.ignore_ranges = True
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": "bytes=2-"}, alt="media")
    assert (answer.status_code, answer.content) == (200, b"hello")


def test_a_large_file_is_served_in_parts_that_fit_together(server: DriveServer, asker: DriveClient) -> None:
    content = Generated(2 << 30)
    file = server.drive.add_file("large.bin", content)
    at = (1 << 30) + 12345
    answer = asker.get(f"files/{file}", {"Range": f"bytes={at}-{at + 99}"}, alt="media")
    assert answer.content == b"".join(content.read(at, at + 100))
    assert answer.headers["Content-Range"].endswith(f"/{2 << 30}")


def test_text_can_be_compressed(server: DriveServer, asker: DriveClient) -> None:
    server.behaviour.gzip_media = True
    file = server.drive.add_file("a.txt", "hello " * 1000)
    answer = asker.get(f"files/{file}", {"Accept-Encoding": "gzip"}, alt="media")
    assert (answer.headers["Content-Encoding"], answer.content) == ("gzip", b"hello " * 1000)
    plain = asker.get(f"files/{file}", {"Accept-Encoding": "identity"}, alt="media")
    assert (plain.headers.get("Content-Encoding"), plain.content) == (None, b"hello " * 1000)


def test_json_is_compressed_if_the_client_accepts_it(server: DriveServer, asker: DriveClient) -> None:
    answer = asker.session.get(f"{server.url}/drive/v3/files/root?fields=*", stream=True, timeout=30)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"My Drive" in gzip.decompress(answer.raw.read())


def test_a_forbidden_download_is_an_error_with_its_reason(server: DriveServer, asker: DriveClient) -> None:
    file, doc = server.drive.add_file("a", "a", can_download=False), server.drive.add_doc("d", "d", can_download=False)
    assert asker.json(f"files/{file}", fields="capabilities/canDownload")["capabilities"] == {"canDownload": False}
    assert asker.refused(f"files/{file}", alt="media") == (403, "cannotDownloadFile")
    assert asker.refused(f"files/{doc}/export", mimeType=MARKDOWN) == (403, "cannotExportFile")
    server.drive.set_download(file, True)
    assert asker.get(f"files/{file}", alt="media").content == b"a"


def test_malware_is_served_only_if_it_is_acknowledged(server: DriveServer, asker: DriveClient) -> None:
    file = server.drive.add_file("a.exe", "a", abusive=True)
    assert asker.refused(f"files/{file}", alt="media") == (403, "cannotDownloadAbusiveFile")
    assert asker.get(f"files/{file}", alt="media", acknowledgeAbuse="true").content == b"a"


def test_a_doc_is_exported_and_not_downloaded(server: DriveServer, asker: DriveClient) -> None:
    doc = server.drive.add_doc("d", "# One\n\nTwo & three")
    known = asker.json(f"files/{doc}", fields="*")
    assert "md5Checksum" not in known
    assert "headRevisionId" not in known
    assert asker.refused(f"files/{doc}", alt="media") == (403, "fileNotDownloadable")
    assert asker.get(f"files/{doc}/export", mimeType=MARKDOWN).content == b"# One\n\nTwo & three"
    with zipfile.ZipFile(io.BytesIO(asker.get(f"files/{doc}/export", mimeType=DOCX).content)) as archive:
        assert b"Two &amp; three" in archive.read("word/document.xml")
    assert asker.refused(f"files/{doc}/export", mimeType=XLSX)[0] == 400


def test_only_docs_are_exported(server: DriveServer, asker: DriveClient) -> None:
    file, form = server.drive.add_file("a", "a"), server.drive.add_doc("f", "", kind="form")
    assert asker.refused(f"files/{file}/export", mimeType="text/plain") == (403, "fileNotExportable")
    assert asker.refused(f"files/{form}/export", mimeType="text/plain")[0] == 400
    assert "exportLinks" not in asker.json(f"files/{form}", fields="*")


def test_a_new_text_is_in_the_next_export(server: DriveServer, asker: DriveClient) -> None:
    sheet = server.drive.add_doc("s", "a,b", kind="spreadsheet")
    server.drive.set_text(sheet, "c,d")
    assert asker.get(f"files/{sheet}/export", mimeType="text/csv").content == b"c,d"


@pytest.mark.parametrize("redirected", [False, True])
def test_an_export_over_the_limit_is_behind_its_link(server: DriveServer, asker: DriveClient, redirected: bool) -> None:
    server.behaviour.redirect_exports = redirected
    large = Generated((10 << 20) + 1)
    doc = server.drive.add_doc("d", "small", exports={MARKDOWN: large})
    assert asker.refused(f"files/{doc}/export", mimeType=MARKDOWN) == (403, "exportSizeLimitExceeded")
    link = asker.json(f"files/{doc}", fields="exportLinks")["exportLinks"][MARKDOWN]
    assert len(asker.session.get(link, timeout=30).content) == large.size
    assert server.requests.count("export_link") == 1
    assert server.requests.count("export_content") == int(redirected)


def test_an_export_link_needs_the_access_token(server: DriveServer, asker: DriveClient) -> None:
    doc = server.drive.add_doc("d", "text")
    link = asker.json(f"files/{doc}", fields="exportLinks")["exportLinks"][MARKDOWN]
    answer = asker.session.get(link, headers={"Authorization": ""}, timeout=30)
    assert answer.status_code == 401


def test_a_shared_drive_and_its_root_have_different_names(server: DriveServer, asker: DriveClient) -> None:
    drive = server.drive.add_drive("Team")
    server.drive.rename_drive(drive, "The Team")
    assert asker.json(f"drives/{drive}")["name"] == "The Team"
    assert asker.json(f"files/{drive}", supportsAllDrives="true")["name"] == "Drive"
    assert [one["id"] for one in asker.json("drives")["drives"]] == [drive]


def test_about_names_the_account(asker: DriveClient) -> None:
    assert asker.json("about", fields="user/emailAddress") == {"user": {"emailAddress": "pipeline@example.org"}}
