"""Read OpenDocument text, spreadsheets and presentations (odt, ods, odp), which share one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

from rag_pipeline.errors import EncryptedFileError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.table import TableWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_SKIPPED = frozenset({"tracked-changes", "annotation", "settings", "scripts", "tracked-change", "forms"})
# Sheets are padded to their edge with repeated cells; few repeated cells carry data.
_MAX_REPEATED_CELLS = 64


class _Manifest(XmlHandler):
    def __init__(self) -> None:
        self.encrypted = False

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self.encrypted = self.encrypted or name == "encryption-data"


class _Content(XmlHandler):
    def __init__(self, writer: SectionWriter, *, spreadsheet: bool) -> None:
        self._writer = writer
        self._spreadsheet = spreadsheet
        self._skipping = 0
        self._paragraphs = 0
        self._pieces: list[str] = []
        self._level: int | None = None
        self._slide = 0
        self._sheets: TableWriter | None = None
        self._tables = 0
        self._row = 0
        self._row_repeat = 1
        self._cells: list[str] = []
        self._cell: list[str] = []
        self._cell_repeat = 1

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
        elif name in ("p", "h"):
            self._paragraphs += 1
            level = attribute(attributes, "outline-level") or "1"
            self._level = (int(level) if level.isdecimal() else 1) if name == "h" else None
        elif name == "s":
            self._pieces.append(" " * _count(attributes, "c", 80))
        elif name == "tab":
            self._pieces.append("\t")
        elif name == "line-break":
            self._pieces.append("\n")
        elif name == "page":
            self._slide += 1
            self._writer.section(f"slide {self._slide}")
        elif name == "table":
            self._tables += 1
            if self._spreadsheet:
                self._sheets = TableWriter(self._writer, f"sheet {attribute(attributes, 'name') or ''}".strip())
                self._row = 0
        elif name == "table-row":
            self._row_repeat = _count(attributes, "number-rows-repeated", 1 << 20)
            self._cells = []
        elif name in ("table-cell", "covered-table-cell"):
            self._cell = []
            self._cell_repeat = _count(attributes, "number-columns-repeated", 1 << 14)

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif name in ("p", "h") and self._paragraphs:
            self._paragraphs -= 1
            self._end_paragraph()
        elif name in ("table-cell", "covered-table-cell"):
            repeat = min(self._cell_repeat, _MAX_REPEATED_CELLS)
            self._cells.extend(["\n".join(self._cell)] * repeat)
        elif name == "table-row":
            self._end_row()
        elif name == "table":
            self._tables -= 1
            if self._sheets:
                self._sheets.end()

    def text(self, text: str) -> None:
        if self._paragraphs and not self._skipping:
            self._pieces.append(text)

    def _end_paragraph(self) -> None:
        text = "".join(self._pieces)
        self._pieces = []
        if self._tables:
            self._cell.append(text)
        elif self._level is not None:
            self._writer.heading(self._level, text)
        else:
            self._writer.write(text + "\n")

    def _end_row(self) -> None:
        if self._sheets:
            self._sheets.row(self._row + 1, self._cells)
            self._row += self._row_repeat
        elif any(cell.strip() for cell in self._cells):
            self._writer.write(" | ".join(" ".join(cell.split()) for cell in self._cells if cell) + "\n")


def _count(attributes: Mapping[str, str], name: str, limit: int) -> int:
    value = attribute(attributes, name) or "1"
    return min(int(value), limit) if value.isdecimal() and len(value) < 10 else 1


def read_opendocument(file: InputFile, writer: SectionWriter) -> None:
    """Read an odt, ods or odp file; locators are paths of headings, rows of sheets, or slide numbers."""
    archive = ZipArchive(file)
    manifest = _Manifest()
    if "META-INF/manifest.xml" in archive.names:
        parse_xml(BytesIO(archive.read("META-INF/manifest.xml")), manifest)
    if manifest.encrypted:
        raise EncryptedFileError("is encrypted; a password is needed")
    spreadsheet = b"spreadsheet" in archive.read("mimetype", 256)
    size = archive.size("content.xml") or 1
    parse_xml(
        archive.open("content.xml"),
        _Content(writer, spreadsheet=spreadsheet),
        on_block=lambda done: writer.progress(done / size),
    )
