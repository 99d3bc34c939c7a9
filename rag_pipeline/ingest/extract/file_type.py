"""Recognise the type of a file by its content, and by its name where the content is ambiguous."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.charset import looks_like_text
from rag_pipeline.ingest.extract.input_file import HEAD_BYTES, InputFile
from rag_pipeline.ingest.extract.mail_headers import MBOX_LINE, looks_like_mail
from rag_pipeline.ingest.extract.ole_container import OleContainer
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
ODG = FileType(_ODF + "graphics", "OpenDocument drawing", "opendocument")
XLSB = FileType("application/vnd.ms-excel.sheet.binary.macroEnabled.12", "Excel binary workbook", "excel_xlsb")
DOC = FileType("application/msword", "Word 97 document", "word_binary")
XLS = FileType("application/vnd.ms-excel", "Excel 97 workbook", "excel_binary")
PPT = FileType("application/vnd.ms-powerpoint", "PowerPoint 97 presentation", "powerpoint_binary")
WORD_2003 = FileType("application/msword", "Word 2003 XML document", "word_2003")
EXCEL_2003 = FileType("application/vnd.ms-excel", "Excel 2003 XML workbook", "excel_2003")
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
TSV = FileType("text/tab-separated-values", "TSV table", "table")

_TEXT_EXTENSIONS = {
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "mdx": MARKDOWN,
    "rst": FileType("text/x-rst", "reStructuredText file", "text"),
    "csv": CSV,
    "tsv": TSV,
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
    "xlsb": XLSB,
    "odg": ODG,
    "doc": DOC,
    "xls": XLS,
    "ppt": PPT,
}
_BY_MAIN_PART = (("wordprocessingml", DOCX), ("spreadsheetml", XLSX), ("presentationml", PPTX))
_BY_MIMETYPE = {
    **{type_.mime_type: type_ for type_ in (ODT, ODS, ODP, ODG, EPUB)},
    **{type_.mime_type + "-template": type_ for type_ in (ODT, ODS, ODP, ODG)},
}

_FLAT = {
    type_.mime_type.encode(): FileType(type_.mime_type + "-flat-xml", "flat " + type_.label, "opendocument_flat")
    for type_ in (ODT, ODS, ODP, ODG)
}

_FLAT_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]*+>\s*+)?(?:<!--(?>.*?-->)\s*+)*+<(?:office:)?document\s[^>]*?"
    rb"""\boffice:mimetype\s*+=\s*+["'](application/vnd\.oasis\.opendocument\.[a-z]{1,20})""",
    re.S,
)
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<!--(?>.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_XHTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml[^>]*+>\s*+(?:<!doctype\s+html|<html\b)", re.I)
_OFFICE_2003 = (
    (b"http://schemas.microsoft.com/office/word/2003/wordml", WORD_2003),
    (b"http://schemas.microsoft.com/office/2006/xmlPackage", WORD_2003),
    (b"urn:schemas-microsoft-com:office:spreadsheet", EXCEL_2003),
)
# Programs export text, tables and pages under the names of these formats, and Office opens them.
_MAY_BE_TEXT = (DOC, XLS)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml\s", re.I)
_CALENDAR_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*+BEGIN:VCALENDAR\b", re.I)
_ROOT_BYTES = 4096
_MAIN_PART = re.compile(r'ContentType\s*+=\s*+"([^"]*\.main\+xml)"')
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
# Workbooks of Excel 2 to 4 are not in a container.
_RAW_WORKBOOKS = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00")
_BY_STREAM = (
    ("WordDocument", DOC),
    ("Workbook", XLS),
    ("Book", XLS),
    ("PowerPoint Document", PPT),
    ("__properties_version1.0", OUTLOOK),
)
_ENCRYPTED_STREAMS = ("EncryptedPackage", "EncryptedSummary")
_UNREAD_STREAMS = (
    ("PP40", "a PowerPoint presentation of a version before 97"),
    ("VisioDocument", "a Visio drawing"),
    ("Quill", "a Publisher document"),
    ("PerfectOffice_MAIN", "a WordPerfect document"),
    ("MatOST", "a Works document"),
    ("WorkBook", "a Quattro Pro workbook"),
    ("HwpSummaryInformation", "a Hangul document"),
    ("FileHeader", "a Hangul document"),
    ("SwDocMgrTempStorage", "a SolidWorks document"),
    ("Props12", "a Project plan"),
    ("Catalog", "a thumbnail cache"),
)
_XLSB_PART = "application/vnd.ms-excel.sheet.binary"
_VISIO_PART = "application/vnd.ms-visio."


def recognise(file: InputFile) -> FileType:
    """Return the file's type; raises an ExtractionError that names the type if it can't be read."""
    head = file.read_at(0, HEAD_BYTES)
    expected = _NEVER_TEXT.get(file.extension)
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _recognise_zip(file, expected)
    if head.startswith(_OLE):
        return _recognise_ole(file, expected)
    if head.startswith(_RAW_WORKBOOKS):
        return XLS
    if head.lstrip()[:5] == b"{\\rtf":
        return RTF
    if label := binary_label(head):
        raise UnsupportedFileTypeError(f"is {label}, which is not read")
    if looks_like_text(head):
        return _recognise_text(file, head, expected)
    if expected:
        raise CorruptFileError(f"is named like {_with_article(expected.label)} but does not hold one")
    raise UnsupportedFileTypeError("is binary data of an unknown type")


def _with_article(label: str) -> str:
    return f"{'an' if label.startswith(('E', 'O', 'R', 'X')) else 'a'} {label}"


def _recognise_text(file: InputFile, head: bytes, expected: FileType | None) -> FileType:
    if codec := unicode_codec(head):
        head = head.decode(codec, "replace").lstrip("\ufeff").encode()
    if _HTML_START.match(head) or _XHTML_START.match(head):
        return HTML
    if (flat := _FLAT_START.match(head)) and flat[1] in _FLAT:
        return _FLAT[flat[1]]
    if mail := _recognise_mail(file, head):
        return mail
    is_xml = bool(_XML_START.match(head))
    if is_xml:
        start = head[:_ROOT_BYTES]
        if found := next((file_type for name, file_type in _OFFICE_2003 if name in start), None):
            return found
    if expected and (expected not in _MAY_BE_TEXT or not head.strip()):
        raise CorruptFileError(f"is named like {_with_article(expected.label)} but does not hold one")
    if expected is XLS and not is_xml:
        return TSV if head.count(b"\t") >= head.count(b"\n") else CSV
    if file_type := _TEXT_EXTENSIONS.get(file.extension):
        return file_type
    if _CALENDAR_START.match(head):
        return CALENDAR
    return XML if is_xml else TEXT


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
    content_types_part = archive.resolve("[Content_Types].xml")
    if content_types_part in archive.names:
        content_types = archive.read(content_types_part).decode("utf-8", "replace")
        if _XLSB_PART in content_types:
            return XLSB
        if _VISIO_PART in content_types:
            raise UnsupportedFileTypeError("is a Visio drawing, which is not read")
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


def _recognise_ole(file: InputFile, expected: FileType | None) -> FileType:
    """Return the type of an OLE container, by the names of its streams."""
    try:
        container = OleContainer(file)
    except CorruptFileError as error:
        if expected:
            raise CorruptFileError(f"is a damaged {expected.label}: {error}") from error
        raise UnsupportedFileTypeError(f"is a damaged file of the binary formats before 2007: {error}") from error
    if container.has(*_ENCRYPTED_STREAMS):
        raise EncryptedFileError("is encrypted; a password is needed")
    for stream, file_type in _BY_STREAM:
        if container.has(stream):
            return file_type
    label = next((label for stream, label in _UNREAD_STREAMS if container.has(stream)), None)
    if label:
        raise UnsupportedFileTypeError(f"is {label}, which is not read")
    raise UnsupportedFileTypeError("is a file of an unknown program in the format of Office before 2007 (OLE)")
