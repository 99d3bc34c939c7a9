"""Local copies: downloaded or exported, named like the file, and removed afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError, FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import DOCX, MARKDOWN
from rag_pipeline.sources.google_drive.local_copy import local_copy
from rag_pipeline.sources.google_drive.transport.error_reasons import UNSUPPORTED_CONVERSION
from tests.drive import DriveServer, Generated, error, too_many
from tests.drive.faults import Fault
from tests.sources.google_drive.support import api_for, ignore_progress, is_empty_folder, no_check

LIMIT = 1 << 20


def read(server: DriveServer, tmp_path: Path, file_id: str, **options: Any) -> tuple[str, bytes]:
    """Return name and content of the local copy."""
    api, spool = api_for(server), DownloadFolder(tmp_path / "downloads")
    arguments = {"limit_bytes": LIMIT, "on_progress": ignore_progress, "check": no_check, **options}
    try:
        with local_copy(api, spool, api.file(file_id), **arguments) as path:
            return path.name, path.read_bytes()
    finally:
        assert is_empty_folder(spool.folder)


def test_a_file_is_downloaded_under_its_own_name(tmp_path: Path) -> None:
    with DriveServer() as server:
        assert read(server, tmp_path, server.drive.add_file("a/b.txt", "hello")) == ("a_b.txt", b"hello")


@pytest.mark.parametrize(
    ("name", "mime_type", "expected"),
    [
        ("notes", "text/markdown", "notes.md"),
        ("table", "text/csv", "table.csv"),
        ("notes.v2", "text/markdown", "notes.v2"),
        ("data", "application/octet-stream", "data"),
    ],
)
def test_a_name_without_an_extension_gets_that_of_its_type(
    tmp_path: Path, name: str, mime_type: str, expected: str
) -> None:
    with DriveServer() as server:
        assert read(server, tmp_path, server.drive.add_file(name, "x", mime_type=mime_type))[0] == expected


@pytest.mark.parametrize(
    ("kind", "name"), [("document", "plan.md"), ("spreadsheet", "plan.xlsx"), ("presentation", "plan.pdf")]
)
def test_google_s_own_documents_are_exported(tmp_path: Path, kind: str, name: str) -> None:
    with DriveServer() as server:
        found, content = read(server, tmp_path, server.drive.add_doc("plan", "words", kind=kind))
        assert found == name
        assert content


NO_CONVERSION = error(400, "badRequest", message="The requested conversion is not supported.")


@pytest.mark.parametrize("fault", [NO_CONVERSION, error(403, "exportSizeLimitExceeded")])
def test_a_document_without_markdown_export_is_exported_as_docx(tmp_path: Path, fault: Fault) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "words", exports={DOCX.mime_type: b"docx"})
        server.faults.add(fault, "files.export")
        server.faults.add(NO_CONVERSION, "export_link")
        name, content = read(server, tmp_path, doc)
        if fault is not NO_CONVERSION:
            assert server.requests.count("export_link") == 1
        assert (name, content) == ("plan.docx", b"docx")


def test_another_format_is_not_tried_if_it_would_not_help(tmp_path: Path) -> None:
    with DriveServer() as server:
        doc = server.drive.add_doc("plan", "words")
        for fault, kind in (
            (error(403, "insufficientFilePermissions"), FileUnavailableError),
            (error(404, "notFound"), FileUnavailableError),
            (too_many(), DriveUnavailableError),
        ):
            server.requests.clear()
            planned = server.faults.add(fault, "files.export", times=None)
            with pytest.raises(kind):
                read(server, tmp_path, doc)
            asked = {request.query["mimeType"] for request in server.requests if request.operation == "files.export"}
            assert asked == {MARKDOWN.mime_type}
            server.faults.clear()
            assert planned.hits


def test_an_unsupported_file_is_rejected_without_a_request(tmp_path: Path) -> None:
    with DriveServer() as server:
        large = server.drive.add_file("a.txt", Generated(LIMIT + 1))
        form = server.drive.add_doc("f", "", kind="form")
        for file, why in (
            (large, "over the limit"),
            (form, "is a Google form"),
            (server.drive.add_folder("d"), "folder"),
        ):
            with pytest.raises(FileUnavailableError, match=why) as raised:
                read(server, tmp_path, file)
            assert (raised.value.gone, raised.value.retryable) == (False, False)
        assert server.requests.count("media") + server.requests.count("files.export") == 0


def test_progress_starts_at_once_and_a_stop_leaves_nothing(tmp_path: Path) -> None:
    with DriveServer() as server:
        fractions: list[float] = []

        def stop() -> None:
            raise Stopped

        with pytest.raises(Stopped):
            read(server, tmp_path, server.drive.add_file("a.txt", "x"), on_progress=fractions.append, check=stop)
        assert fractions == [0.0]


def test_an_error_of_the_reader_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    with DriveServer() as server:
        api, spool = api_for(server), DownloadFolder(tmp_path / "downloads")
        doc = server.drive.add_doc("plan", "words")

        def fail() -> None:
            with local_copy(api, spool, api.file(doc), limit_bytes=LIMIT, on_progress=ignore_progress, check=no_check):
                raise FileUnavailableError("reader's own", gone=False, code=UNSUPPORTED_CONVERSION)

        with pytest.raises(FileUnavailableError, match="reader's own"):
            fail()
        assert is_empty_folder(spool.folder)
        assert server.requests.count("files.export") == 1
