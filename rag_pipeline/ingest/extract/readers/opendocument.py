"""Read OpenDocument text, spreadsheets, presentations and drawings (odt, ods, odp, odg), which share one vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.document_properties import Properties
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.opendocument_body import OdfBody, OdfContext
from rag_pipeline.ingest.extract.readers.opendocument_object import object_lines
from rag_pipeline.ingest.extract.readers.opendocument_sheet import OdfSheets
from rag_pipeline.ingest.extract.readers.opendocument_slides import OdfSlides
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

ODF_PROPERTIES = {"title": "title", "initial-creator": "author", "creator": "author", "subject": "subject",
                  "keyword": "keywords", "creation-date": "created"}  # fmt: skip


class _Manifest(XmlHandler):
    def __init__(self) -> None:
        self.encrypted = False

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self.encrypted = self.encrypted or name == "encryption-data"


class _Content(XmlHandler):
    """Passes the part before the body to the styles, and the body to its reader."""

    def __init__(self, context: OdfContext, body: XmlHandler) -> None:
        self._styles = context.styles
        self._body = body
        self._in_body = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._in_body:
            self._body.start(name, attributes)
        elif name == "body":
            self._in_body = True
        else:
            self._styles.start(name, attributes)

    def end(self, name: str) -> None:
        if self._in_body:
            self._body.end(name)

    def text(self, text: str) -> None:
        if self._in_body:
            self._body.text(text)


class OdfMargins(XmlHandler):
    """Takes the styles of styles.xml, and the paragraphs of its headers and footers."""

    def __init__(self, context: OdfContext) -> None:
        self.flow = FlowWriter(None)
        self._context = context
        self._body = OdfBody(self.flow, context)
        self._in_margin = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a style, a header or a footer."""
        if name.startswith(("header", "footer")) and not name.endswith(("style", "properties", "decl")):
            self._in_margin += 1
        elif self._in_margin:
            self._body.start(name, attributes)
        else:
            self._context.styles.start(name, attributes)

    def end(self, name: str) -> None:
        """End an element."""
        if name.startswith(("header", "footer")) and not name.endswith(("style", "properties", "decl")):
            self._in_margin -= 1
        elif self._in_margin:
            self._body.end(name)

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._in_margin:
            self._body.text(text)


def read_opendocument(file: InputFile, writer: SectionWriter) -> None:
    """Read an odt, ods, odp or odg file; locators are paths of headings, rows of sheets, slide or page numbers."""
    archive = ZipArchive(file)
    _refuse_encrypted(archive)
    kind = archive.read("mimetype", 256).decode("latin-1") if "mimetype" in archive.names else ""
    is_sheet = "spreadsheet" in kind
    context = OdfContext(with_hidden=file.options.hidden, with_comments=file.options.comments)
    context.embedded = lambda link: object_lines(archive, link, writer, with_values=not is_sheet)
    _describe(archive, writer)
    margins = _read_styles(archive, context, writer)
    flow = FlowWriter(writer)
    body = body_reader(kind, flow, writer, context)
    size = archive.size("content.xml") or 1
    parse_xml(archive.open("content.xml"), _Content(context, body), on_block=lambda done: writer.progress(done / size))
    flow.end()
    write_margins(body, margins, writer)
    warn_hidden(context, writer)


def body_reader(kind: str, flow: FlowWriter, writer: SectionWriter, context: OdfContext) -> XmlHandler:
    """Return the reader for the body of a document, by its MIME type."""
    if "spreadsheet" in kind:
        return OdfSheets(writer, context)
    if "presentation" in kind or "graphics" in kind:
        return OdfSlides(writer, context, "slide" if "presentation" in kind else "page")
    return OdfBody(flow, context)


def write_margins(body: XmlHandler, margins: Iterable[str], writer: SectionWriter) -> None:
    """Write the different lines of headers and footers, which only text documents need."""
    lines = [line for line in dict.fromkeys(margins) if any(char.isalpha() for char in line)]
    if lines and isinstance(body, OdfBody):
        writer.section("headers and footers")
        writer.write("\n".join(lines) + "\n")


def warn_hidden(context: OdfContext, writer: SectionWriter) -> None:
    """Warn of hidden text that was left out."""
    if context.hidden:
        writer.warn("hidden_text", "hidden text, rows, columns, sheets or slides are left out", context.hidden)


def _refuse_encrypted(archive: ZipArchive) -> None:
    manifest = _Manifest()
    if "META-INF/manifest.xml" in archive.names:
        parse_xml(BytesIO(archive.read("META-INF/manifest.xml")), manifest)
    if manifest.encrypted:
        raise EncryptedFileError("is encrypted; a password is needed")


def _describe(archive: ZipArchive, writer: SectionWriter) -> None:
    metadata = Properties(ODF_PROPERTIES)
    if "meta.xml" in archive.names:
        try:
            parse_xml(archive.open("meta.xml"), metadata)
        except CorruptFileError as error:
            writer.warn("damaged_part", f"its metadata are damaged: {error}")
    for key, value in metadata.values.items():
        writer.describe(key, value)


def _read_styles(archive: ZipArchive, context: OdfContext, writer: SectionWriter) -> list[str]:
    """Take the styles; return the lines of headers and footers."""
    margins = OdfMargins(context)
    if "styles.xml" in archive.names:
        try:
            parse_xml(archive.open("styles.xml"), margins)
        except CorruptFileError as error:
            writer.warn("damaged_part", f"its styles are damaged: {error}")
    margins.flow.end()
    return margins.flow.lines
