"""Docs, Sheets and Slides: their MIME types and their exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

from tests.drive.content import Content, content_of
from tests.ingest.extract.makers import make_docx, make_pdf, make_xlsx

GOOGLE = "application/vnd.google-apps."
FOLDER = GOOGLE + "folder"
SHORTCUT = GOOGLE + "shortcut"
OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = OFFICE + "wordprocessingml.document"
XLSX = OFFICE + "spreadsheetml.sheet"
PPTX = OFFICE + "presentationml.presentation"
EXTENSIONS: Mapping[str, str] = {
    "text/markdown": "md",
    "text/plain": "txt",
    "text/html": "html",
    "text/csv": "csv",
    "application/pdf": "pdf",
    "image/png": "png",
    DOCX: "docx",
    XLSX: "xlsx",
    PPTX: "pptx",
}
"""The ``exportFormat`` in an export link of each type."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "document": ("text/markdown", "text/plain", "text/html", DOCX, "application/pdf"),
    "spreadsheet": (XLSX, "text/csv", "application/pdf"),
    "presentation": ("application/pdf", "text/plain"),
    "drawing": ("application/pdf",),
    "form": (),
    "site": (),
    "map": (),
}
"""What each kind is exported to."""


def mime_type_of(kind: str) -> str:
    """Return the MIME type of Google's own kind of document."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    return GOOGLE + kind


def exports_of(kind: str, text: str) -> dict[str, Content]:
    """Return the exports of a text for this kind, by MIME type."""
    return {mime_type: content_of(MAKERS[mime_type](text)) for mime_type in KINDS[kind]}


def _docx(text: str) -> bytes:
    return make_docx("".join(f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in text.splitlines()))


def _xlsx(text: str) -> bytes:
    rows = "".join(
        f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>{escape(line)}</t></is></c></row>'
        for number, line in enumerate(text.splitlines(), start=1)
    )
    return make_xlsx(rows)


def _pdf(text: str) -> bytes:
    shown = text.encode("latin-1", "replace").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
    lines = b"".join(b"(%s) ' " % line for line in shown.splitlines())
    return make_pdf(1, content=b"BT /F1 11 Tf 14 TL 72 770 Td " + lines + b"ET")


MAKERS: Mapping[str, Callable[[str], bytes]] = {
    "text/markdown": str.encode,
    "text/plain": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),  # as Drive writes plain text
    "text/html": lambda text: f"<html><body><p>{escape(text)}</p></body></html>".encode(),
    "text/csv": lambda text: text.replace("\n", "\r\n").encode(),
    "application/pdf": _pdf,
    DOCX: _docx,
    XLSX: _xlsx,
}
