"""Decides by MIME type and name whether a Drive file is downloaded, exported, or skipped with a reason."""

from __future__ import annotations

import re
from typing import NamedTuple

from rag_pipeline.sources.google_drive.records import DriveFile

_GOOGLE = "application/vnd.google-apps."
_OOXML = "application/vnd.openxmlformats-officedocument."
FOLDER = _GOOGLE + "folder"
SHORTCUT = _GOOGLE + "shortcut"


class ExportFormat(NamedTuple):
    """A MIME type to export as, and its file name extension."""

    mime_type: str
    extension: str


class Download(NamedTuple):
    """Download the file unchanged."""


class Export(NamedTuple):
    """Export the file in the first of these formats that Drive offers."""

    formats: tuple[ExportFormat, ...]


class Unsupported(NamedTuple):
    """Skip the file; ``reason`` completes a sentence that begins with its name."""

    reason: str


FetchMethod = Download | Export | Unsupported

MARKDOWN = ExportFormat("text/markdown", ".md")
DOCX = ExportFormat(_OOXML + "wordprocessingml.document", ".docx")
XLSX = ExportFormat(_OOXML + "spreadsheetml.sheet", ".xlsx")
PDF = ExportFormat("application/pdf", ".pdf")
TEXT = ExportFormat("text/plain", ".txt")

_EXPORTS = {
    _GOOGLE + "document": Export((MARKDOWN, DOCX)),
    _GOOGLE + "spreadsheet": Export((XLSX,)),
    _GOOGLE + "presentation": Export((PDF, TEXT)),  # a PDF has pages to refer to
}
_NO_TEXT = {
    FOLDER: "is a folder",
    SHORTCUT: "is a shortcut",
    _GOOGLE + "audio": "is audio, which holds no text to read",
    _GOOGLE + "drawing": "is a Google drawing, which holds no text to read",
    _GOOGLE + "drive-sdk": "belongs to another app, and can't be read from Drive",
    _GOOGLE + "form": "is a Google form, which Drive does not export",
    _GOOGLE + "jam": "is a Jamboard, which holds no text to read",
    _GOOGLE + "map": "is a Google map, which Drive does not export",
    _GOOGLE + "photo": "is an image, which holds no text to read",
    _GOOGLE + "script": "is an Apps Script project, which is not a document",
    _GOOGLE + "site": "is a Google site, which Drive does not export as text",
    _GOOGLE + "vid": "is a Google video, which holds no text to read",
    _GOOGLE + "video": "is a video, which holds no text to read",
}
_MEDIA = {"image": "an image", "video": "a video", "audio": "audio", "font": "a font"}
_ARCHIVE = re.compile(
    r"application/(?:zip|x-zip-compressed|gzip|x-gzip|x-tar|x-7z-compressed|x-rar-compressed|vnd\.rar|x-bzip2?|x-xz|zstd"
    r"|x-iso9660-image|x-apple-diskimage|java-archive|vnd\.android\.package-archive)"
)
_PROGRAM = re.compile(r"application/(?:x-msdownload|x-msdos-program|x-dosexec|x-executable|x-sharedlib|wasm|x-msi)")
# For these formats, archives inside or text, the content decides and not Drive's MIME type.
_ALWAYS_READ = re.compile(
    r"\.(?:docx|docm|xlsx|xlsm|pptx|pptm|odt|ods|odp|epub|pdf|rtf|svg|txt|md|html?|csv|json|xml)$", re.IGNORECASE
)
# Drive takes TypeScript for the video format that also has the extension .ts; a video is larger than this.
_TYPESCRIPT, _LARGEST_TYPESCRIPT_BYTES = "video/mp2t", 1 << 20


def fetch_method(file: DriveFile, limit_bytes: int) -> FetchMethod:
    """Return how to fetch a file; one of more than ``limit_bytes`` is unsupported."""
    if reason := _NO_TEXT.get(file.mime_type):
        return Unsupported(reason)
    if file.mime_type.startswith(_GOOGLE) and file.mime_type not in _EXPORTS:
        return Unsupported(f"is of Google's type {file.mime_type.removeprefix(_GOOGLE)}, which has no text to export")
    if reason := _unreadable(file):
        return Unsupported(reason)
    if not file.can_download:
        return Unsupported("may not be downloaded by these credentials")
    if export := _EXPORTS.get(file.mime_type):
        return export  # the file's size says nothing about the export's
    if file.size == 0:
        return Unsupported("is empty")
    if file.size is not None and file.size > limit_bytes:
        return Unsupported(f"is {file.size:,} bytes, over the limit of {limit_bytes:,}")
    return Download()


def _unreadable(file: DriveFile) -> str | None:
    """Return why a file of this MIME type holds no readable text; None if only its content can tell."""
    mime_type = file.mime_type.partition(";")[0].strip().lower()
    if _ALWAYS_READ.search(file.name) or mime_type == "image/svg+xml":
        return None
    if mime_type == _TYPESCRIPT and (file.size or 0) <= _LARGEST_TYPESCRIPT_BYTES:
        return None
    if label := _MEDIA.get(mime_type.partition("/")[0]):
        return f"is {label} ({mime_type}), which holds no text to read"
    if _ARCHIVE.fullmatch(mime_type):
        return f"is an archive ({mime_type}); archives are not unpacked"
    if _PROGRAM.fullmatch(mime_type):
        return f"is a program ({mime_type}), which holds no text to read"
    return None
