"""How each type of file is fetched."""

from __future__ import annotations

import pytest

from rag_pipeline.sources.google_drive.export_formats import (
    DOCX,
    MARKDOWN,
    PDF,
    TEXT,
    XLSX,
    Download,
    Export,
    Unsupported,
    fetch_method,
)
from rag_pipeline.sources.google_drive.records import DriveFile

LIMIT = 1000
GOOGLE = "application/vnd.google-apps."


def kind(name: str, mime_type: str, size: int | None = 10, *, can_download: bool = True) -> object:
    return fetch_method(DriveFile("f1", name, mime_type, size=size, can_download=can_download), LIMIT)


def reason(*args: object, **kwargs: object) -> str:
    found = kind(*args, **kwargs)  # type: ignore[arg-type]
    assert isinstance(found, Unsupported), found
    return found.reason


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("a.pdf", "application/pdf"),
        ("a", "application/octet-stream"),
        ("a.txt", "text/plain"),
        ("a.doc", "application/msword"),
        ("a.docx", "application/zip"),
        ("a.svg", "image/svg+xml"),
        ("notes.md", "video/mp4"),
        ("index.ts", "video/mp2t"),
        ("mail.eml", "message/rfc822"),
    ],
)
def test_files_that_may_hold_text_are_downloaded(name: str, mime_type: str) -> None:
    assert kind(name, mime_type) == Download()


def test_google_s_own_documents_are_exported() -> None:
    assert kind("a", GOOGLE + "document") == Export((MARKDOWN, DOCX))
    assert kind("a", GOOGLE + "spreadsheet") == Export((XLSX,))
    assert kind("a", GOOGLE + "presentation") == Export((PDF, TEXT))


def test_the_size_of_a_document_does_not_limit_its_export() -> None:
    assert kind("a", GOOGLE + "document", size=LIMIT * 10) == Export((MARKDOWN, DOCX))
    assert kind("a", GOOGLE + "document", size=0) == Export((MARKDOWN, DOCX))


@pytest.mark.parametrize(
    ("name", "mime_type", "why"),
    [
        ("a", GOOGLE + "folder", "is a folder"),
        ("a", GOOGLE + "shortcut", "is a shortcut"),
        ("a", GOOGLE + "form", "is a Google form, which Drive does not export"),
        ("a", GOOGLE + "map", "is a Google map, which Drive does not export"),
        ("a", GOOGLE + "site", "is a Google site, which Drive does not export as text"),
        ("a", GOOGLE + "drawing", "is a Google drawing, which holds no text to read"),
        ("a", GOOGLE + "new-thing", "is of Google's type new-thing, which has no text to export"),
        ("a.png", "image/png", "is an image (image/png), which holds no text to read"),
        ("a.mp4", "video/mp4", "is a video (video/mp4), which holds no text to read"),
        ("a.mp3", "audio/mpeg", "is audio (audio/mpeg), which holds no text to read"),
        ("a.woff", "font/woff", "is a font (font/woff), which holds no text to read"),
        ("a.zip", "application/zip", "is an archive (application/zip); archives are not unpacked"),
        ("a.exe", "application/x-msdownload", "is a program (application/x-msdownload), which holds no text to read"),
    ],
)
def test_files_without_text_are_unsupported_with_a_reason(name: str, mime_type: str, why: str) -> None:
    assert reason(name, mime_type) == why


def test_a_large_ts_file_is_a_video() -> None:
    assert "video" in reason("a.ts", "video/mp2t", size=5 << 20)


def test_a_file_over_the_limit_is_unsupported_but_not_one_at_the_limit() -> None:
    assert kind("a.txt", "text/plain", size=LIMIT) == Download()
    assert reason("a.txt", "text/plain", size=LIMIT + 1) == "is 1,001 bytes, over the limit of 1,000"


def test_an_empty_file_is_unsupported() -> None:
    assert reason("a.txt", "text/plain", size=0) == "is empty"


def test_a_file_that_may_not_be_downloaded_is_unsupported() -> None:
    assert reason("a.txt", "text/plain", can_download=False) == "may not be downloaded by these credentials"
    assert reason("a", GOOGLE + "document", can_download=False) == "may not be downloaded by these credentials"
