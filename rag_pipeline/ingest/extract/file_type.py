"""Recognise the type of a file by its content, and by its name where the content is ambiguous."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.charset import looks_like_text
from rag_pipeline.ingest.extract.input_file import HEAD_BYTES, InputFile
from rag_pipeline.ingest.extract.mail_headers import MBOX_LINE, looks_like_mail
from rag_pipeline.ingest.extract.ole_types import OLE_MESSAGE, SIGNATURE, ole_label
from rag_pipeline.ingest.extract.signatures import binary_label, zip_label
from rag_pipeline.ingest.extract.unicode_forms import unicode_codec
from rag_pipeline.ingest.extract.zip_archive import ZipArchive


@dataclass(frozen=True, slots=True)
class FileType:
    """A readable type: its MIME type, its common name, its reader, and the error message if a file has no text."""

    mime_type: str
    label: str
    reader: str
    no_text: str = "has no text in it"


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

PDF = FileType("application/pdf", "PDF", "pdf", "has no text layer; OCR is off")
DOCX = FileType(_OOXML + "wordprocessingml.document", "Word document", "word")
XLSX = FileType(_OOXML + "spreadsheetml.sheet", "Excel workbook", "excel")
PPTX = FileType(_OOXML + "presentationml.presentation", "PowerPoint presentation", "powerpoint")
ODT = FileType(_ODF + "text", "OpenDocument text", "opendocument")
ODS = FileType(_ODF + "spreadsheet", "OpenDocument spreadsheet", "opendocument")
ODP = FileType(_ODF + "presentation", "OpenDocument presentation", "opendocument")
EPUB = FileType("application/epub+zip", "EPUB book", "epub")
RTF = FileType("application/rtf", "RTF document", "rtf")
HTML = FileType("text/html", "HTML page", "html")
XML = FileType("application/xml", "XML file", "xml")
TEXT = FileType("text/plain", "text file", "text")
MARKDOWN = FileType("text/markdown", "Markdown file", "markdown")
EMAIL = FileType("message/rfc822", "e-mail", "mail")
MAILBOX = FileType("application/mbox", "mailbox", "mailbox")
OUTLOOK = FileType("application/vnd.ms-outlook", "Outlook message", "outlook")
CALENDAR = FileType("text/calendar", "calendar", "calendar")
CSV = FileType("text/csv", "CSV table", "table")

_TEXT_EXTENSIONS = {
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "mdx": MARKDOWN,
    "rst": FileType("text/x-rst", "reStructuredText file", "text"),
    "csv": CSV,
    "tsv": FileType("text/tab-separated-values", "TSV table", "table"),
    "json": FileType("application/json", "JSON file", "json"),
    "jsonl": FileType("application/jsonl", "JSON lines file", "json"),
    "ndjson": FileType("application/jsonl", "JSON lines file", "json"),
    "ipynb": FileType("application/x-ipynb+json", "notebook", "notebook"),
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "xml": XML,
    "eml": EMAIL,
    "emlx": EMAIL,
    "mht": EMAIL,
    "mhtml": EMAIL,
    "mbox": MAILBOX,
    "ics": CALENDAR,
    "yaml": FileType("application/yaml", "YAML file", "text"),
    "yml": FileType("application/yaml", "YAML file", "text"),
    "toml": FileType("application/toml", "TOML file", "text"),
}
# Formats that are never plain text: a file with such a name and text content is damaged.
_NEVER_TEXT = {
    "pdf": PDF,
    "epub": EPUB,
    "rtf": RTF,
    "odt": ODT,
    "ods": ODS,
    "odp": ODP,
    "docx": DOCX,
    "docm": DOCX,
    "xlsx": XLSX,
    "xlsm": XLSX,
    "pptx": PPTX,
    "pptm": PPTX,
    "msg": OUTLOOK,
}
_BY_MAIN_PART = (("wordprocessingml", DOCX), ("spreadsheetml", XLSX), ("presentationml", PPTX))
_BY_MIMETYPE = {
    **{type_.mime_type: type_ for type_ in (ODT, ODS, ODP, EPUB)},
    **{type_.mime_type + "-template": type_ for type_ in (ODT, ODS, ODP)},
}

_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<!--(?>.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_XHTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml[^>]*+>\s*+(?:<!doctype\s+html|<html\b)", re.I)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml\s", re.I)
_CALENDAR_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+BEGIN:VCALENDAR\b", re.I)
_MAIN_PART = re.compile(r'ContentType\s*+=\s*+"([^"]*\.main\+xml)"')


def recognise(file: InputFile) -> FileType:
    """Return the file's type; raises an ExtractionError that names the type if it can't be read."""
    head = file.read_at(0, HEAD_BYTES)
    expected = _NEVER_TEXT.get(file.extension)
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _recognise_zip(file, expected)
    if head.startswith(SIGNATURE):
        return _recognise_ole(file, head)
    if head.lstrip()[:5] == b"{\\rtf":
        return RTF
    if label := binary_label(head):
        raise UnsupportedFileTypeError(f"is {label}, which holds no text to read")
    if looks_like_text(head):
        return _recognise_text(file, head, expected)
    if expected:
        raise CorruptFileError(f"is named like a {expected.label} but does not hold one")
    raise UnsupportedFileTypeError("is binary data of an unknown type")


def _recognise_text(file: InputFile, head: bytes, expected: FileType | None) -> FileType:
    if codec := unicode_codec(head):
        head = head.decode(codec, "replace").lstrip("\ufeff").encode()
    if _HTML_START.match(head) or _XHTML_START.match(head):
        return HTML
    if mail := _recognise_mail(file, head):
        return mail
    if expected:
        raise CorruptFileError(f"is named like a {expected.label} but does not hold one")
    if file_type := _TEXT_EXTENSIONS.get(file.extension):
        return file_type
    if _CALENDAR_START.match(head):
        return CALENDAR
    return XML if _XML_START.match(head) else TEXT


def _recognise_mail(file: InputFile, head: bytes) -> FileType | None:
    if file.extension in _TEXT_EXTENSIONS and _TEXT_EXTENSIONS[file.extension] not in (EMAIL, MAILBOX):
        return None
    if MBOX_LINE.match(head):
        return MAILBOX
    if file.extension in _TEXT_EXTENSIONS or (file.extension in _NEVER_TEXT and file.extension != "msg"):
        return None
    if file.extension == "txt" and b"\nmime-version:" not in head.lower() and b"\nmessage-id:" not in head.lower():
        return None  # a letter may begin with From and To
    return EMAIL if looks_like_mail(head) else None


def _recognise_zip(file: InputFile, expected: FileType | None) -> FileType:
    try:
        archive = ZipArchive(file)
        found = _type_of_archive(archive)
    except CorruptFileError as error:
        if expected:
            raise CorruptFileError(f"is a damaged {expected.label}: {error}") from error
        raise UnsupportedFileTypeError(f"is a damaged zip archive: {error}") from error
    if found is None:
        label = zip_label(archive.names, file.extension)
        raise UnsupportedFileTypeError(label if label else "is a zip archive; archives are not unpacked")
    return found


def _type_of_archive(archive: ZipArchive) -> FileType | None:
    if "[Content_Types].xml" in archive.names:
        content_types = archive.read("[Content_Types].xml").decode("utf-8", "replace")
        for main in _MAIN_PART.finditer(content_types):
            for word, file_type in _BY_MAIN_PART:
                if word in main[1]:
                    return file_type
            # Macro-enabled documents have vendor-specific content types.
            for word, file_type in (("ms-word", DOCX), ("ms-excel", XLSX), ("ms-powerpoint", PPTX)):
                if word in main[1]:
                    return file_type
    if "mimetype" in archive.names:
        return _BY_MIMETYPE.get(archive.read("mimetype", 256).decode("latin-1").strip())
    return None


def _recognise_ole(file: InputFile, head: bytes) -> FileType:
    """Return the type of an Outlook message; raise the error for other OLE containers, which names the format."""
    sector = 1 << min(12, int.from_bytes(head[30:32], "little") or 9)
    directory = (int.from_bytes(head[48:52], "little") + 1) * sector
    names = file.read_at(directory, 1 << 14) if directory < file.size else b""
    if "EncryptedPackage".encode("utf-16-le") in names + head:
        raise EncryptedFileError("is encrypted; a password is needed")
    label = ole_label(names + head)
    if label == OLE_MESSAGE:
        return OUTLOOK
    raise UnsupportedFileTypeError(f"is {label}, which is not read")
