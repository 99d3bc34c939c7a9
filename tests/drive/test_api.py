"""Files and their content over HTTP: metadata, downloads, exports."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from tests.drive.asking import Asker
from tests.drive.content import Generated
from tests.drive.documents import DOCX, XLSX
from tests.drive.server import DriveServer

MARKDOWN = "text/markdown"


def test_a_file_has_what_was_asked_for(server: DriveServer, asker: Asker) -> None:
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


def test_a_shortcut_says_what_it_points_to_and_has_no_content(server: DriveServer, asker: Asker) -> None:
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
def test_content_and_ranges_of_it(
    server: DriveServer, asker: Asker, asked: str | None, status: int, content: bytes, told: str | None
) -> None:
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": asked} if asked else None, alt="media")
    assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == (status, content, told)


@pytest.mark.parametrize("asked", ["bytes=5-", "bytes=9-12", "bytes=-0"])
def test_a_range_that_is_not_within_the_file_is_refused(server: DriveServer, asker: Asker, asked: str) -> None:
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": asked}, alt="media")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */5")


def test_ranges_may_be_passed_over(server: DriveServer, asker: Asker) -> None:
    server.behaviour.ignore_ranges = True
    file = server.drive.add_file("a.txt", "hello")
    answer = asker.get(f"files/{file}", {"Range": "bytes=2-"}, alt="media")
    assert (answer.status_code, answer.content) == (200, b"hello")


def test_a_large_file_is_served_in_parts_that_fit_together(server: DriveServer, asker: Asker) -> None:
    content = Generated(2 << 30)
    file = server.drive.add_file("large.bin", content)
    at = (1 << 30) + 12345
    answer = asker.get(f"files/{file}", {"Range": f"bytes={at}-{at + 99}"}, alt="media")
    assert answer.content == b"".join(content.read(at, at + 100))
    assert answer.headers["Content-Range"].endswith(f"/{2 << 30}")


def test_text_may_be_compressed_on_the_way(server: DriveServer, asker: Asker) -> None:
    server.behaviour.gzip_media = True
    file = server.drive.add_file("a.txt", "hello " * 1000)
    answer = asker.get(f"files/{file}", {"Accept-Encoding": "gzip"}, alt="media")
    assert (answer.headers["Content-Encoding"], answer.content) == ("gzip", b"hello " * 1000)
    plain = asker.get(f"files/{file}", {"Accept-Encoding": "identity"}, alt="media")
    assert (plain.headers.get("Content-Encoding"), plain.content) == (None, b"hello " * 1000)


def test_json_is_compressed_where_the_client_accepts_it(server: DriveServer, asker: Asker) -> None:
    answer = asker.session.get(f"{server.url}/drive/v3/files/root?fields=*", stream=True, timeout=30)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"My Drive" in gzip.decompress(answer.raw.read())


def test_what_may_not_be_downloaded_is_refused_with_its_reason(server: DriveServer, asker: Asker) -> None:
    file, doc = server.drive.add_file("a", "a", can_download=False), server.drive.add_doc("d", "d", can_download=False)
    assert asker.json(f"files/{file}", fields="capabilities/canDownload")["capabilities"] == {"canDownload": False}
    assert asker.refused(f"files/{file}", alt="media") == (403, "cannotDownloadFile")
    assert asker.refused(f"files/{doc}/export", mimeType=MARKDOWN) == (403, "cannotExportFile")
    server.drive.set_download(file, True)
    assert asker.get(f"files/{file}", alt="media").content == b"a"


def test_malware_is_given_only_to_who_acknowledges_it(server: DriveServer, asker: Asker) -> None:
    file = server.drive.add_file("a.exe", "a", abusive=True)
    assert asker.refused(f"files/{file}", alt="media") == (403, "cannotDownloadAbusiveFile")
    assert asker.get(f"files/{file}", alt="media", acknowledgeAbuse="true").content == b"a"


def test_a_doc_is_exported_and_not_downloaded(server: DriveServer, asker: Asker) -> None:
    doc = server.drive.add_doc("d", "# One\n\nTwo & three")
    known = asker.json(f"files/{doc}", fields="*")
    assert "md5Checksum" not in known
    assert "headRevisionId" not in known
    assert asker.refused(f"files/{doc}", alt="media") == (403, "fileNotDownloadable")
    assert asker.get(f"files/{doc}/export", mimeType=MARKDOWN).content == b"# One\n\nTwo & three"
    with zipfile.ZipFile(io.BytesIO(asker.get(f"files/{doc}/export", mimeType=DOCX).content)) as archive:
        assert b"Two &amp; three" in archive.read("word/document.xml")
    assert asker.refused(f"files/{doc}/export", mimeType=XLSX)[0] == 400


def test_only_docs_are_exported(server: DriveServer, asker: Asker) -> None:
    file, form = server.drive.add_file("a", "a"), server.drive.add_doc("f", "", kind="form")
    assert asker.refused(f"files/{file}/export", mimeType="text/plain") == (403, "fileNotExportable")
    assert asker.refused(f"files/{form}/export", mimeType="text/plain")[0] == 400
    assert "exportLinks" not in asker.json(f"files/{form}", fields="*")


def test_a_new_text_is_in_the_next_export(server: DriveServer, asker: Asker) -> None:
    sheet = server.drive.add_doc("s", "a,b", kind="spreadsheet")
    server.drive.set_text(sheet, "c,d")
    assert asker.get(f"files/{sheet}/export", mimeType="text/csv").content == b"c,d"


@pytest.mark.parametrize("redirected", [False, True])
def test_an_export_over_the_limit_is_behind_its_link(server: DriveServer, asker: Asker, redirected: bool) -> None:
    server.behaviour.redirect_exports = redirected
    large = Generated((10 << 20) + 1)
    doc = server.drive.add_doc("d", "small", exports={MARKDOWN: large})
    assert asker.refused(f"files/{doc}/export", mimeType=MARKDOWN) == (403, "exportSizeLimitExceeded")
    link = asker.json(f"files/{doc}", fields="exportLinks")["exportLinks"][MARKDOWN]
    assert len(asker.session.get(link, timeout=30).content) == large.size
    assert server.requests.count("export_link") == 1
    assert server.requests.count("export_content") == int(redirected)


def test_an_export_link_wants_the_access_token(server: DriveServer, asker: Asker) -> None:
    doc = server.drive.add_doc("d", "text")
    link = asker.json(f"files/{doc}", fields="exportLinks")["exportLinks"][MARKDOWN]
    answer = asker.session.get(link, headers={"Authorization": ""}, timeout=30)
    assert answer.status_code == 401


def test_a_drive_has_its_name_and_its_root_another(server: DriveServer, asker: Asker) -> None:
    drive = server.drive.add_drive("Team")
    server.drive.rename_drive(drive, "The Team")
    assert asker.json(f"drives/{drive}")["name"] == "The Team"
    assert asker.json(f"files/{drive}", supportsAllDrives="true")["name"] == "Drive"
    assert [one["id"] for one in asker.json("drives")["drives"]] == [drive]


def test_who_asks_is_told_by_about(asker: Asker) -> None:
    assert asker.json("about", fields="user/emailAddress") == {"user": {"emailAddress": "pipeline@example.org"}}
