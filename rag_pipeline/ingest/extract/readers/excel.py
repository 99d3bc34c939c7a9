"""Read Excel workbooks (xlsx): every sheet, row by row, with values as displayed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import main_part, parts_of_kind, relationships
from rag_pipeline.ingest.extract.readers.numbers import NumberFormat, classify, format_number
from rag_pipeline.ingest.extract.readers.table import TableWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_COLUMN = re.compile(r"([A-Z]{1,3})([0-9]*)")
_MAX_COLUMNS = 16_384


class _Workbook(XmlHandler):
    """Collects the sheets, and whether dates count from 1904."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.from_1904 = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            # Of several attributes named id, the one in a namespace is the relationship's.
            relation = next((value for key, value in attributes.items() if key.endswith(" id")), "")
            self.sheets.append((attribute(attributes, "name") or "", relation))
        elif name == "workbookPr":
            self.from_1904 = attribute(attributes, "date1904") in ("1", "true")


class _SharedStrings(XmlHandler):
    """Collects the shared strings, which cells refer to by index."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False
        self._phonetic = 0

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        if name == "t":
            self._in_text = not self._phonetic
        elif name == "rPh":
            self._phonetic += 1

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.strings.append("".join(self._pieces))
            self._pieces = []

    def text(self, text: str) -> None:
        if self._in_text:
            self._pieces.append(text)


class _CellStyles(XmlHandler):
    """Collects the number format of each cell style."""

    def __init__(self) -> None:
        self.formats: list[NumberFormat] = []
        self._codes: dict[str, str] = {}
        self._in_cell_styles = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "numFmt":
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cell_styles = True
        elif name == "xf" and self._in_cell_styles:
            identifier = attributes.get("numFmtId", "0")
            self.formats.append(classify(identifier, self._codes.get(identifier, "")))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cell_styles = False


class _Sheet(XmlHandler):
    """Passes rows of displayed values to a table."""

    def __init__(self, table: TableWriter, strings: list[str], formats: list[NumberFormat], from_1904: bool) -> None:
        self._table = table
        self._strings = strings
        self._formats = formats
        self._from_1904 = from_1904
        self._row = 0
        self._cells: list[str] = []
        self._column = 0
        self._type = ""
        self._style = 0
        self._value: list[str] = []
        self._in_value = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            reference = _COLUMN.match(attributes.get("r", ""))
            self._column = _column_index(reference[1]) if reference else len(self._cells)
            self._type = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdecimal() else 0
            self._value = []
        elif name in ("v", "t"):
            self._in_value = True
        elif name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._cells = []

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._in_value = False
        elif name == "c":
            value = self._displayed("".join(self._value))
            if value and self._column < _MAX_COLUMNS:
                self._cells.extend([""] * (self._column + 1 - len(self._cells)))
                self._cells[self._column] = value
        elif name == "row":
            self._table.row(self._row, self._cells)

    def text(self, text: str) -> None:
        if self._in_value:
            self._value.append(text)

    def _displayed(self, value: str) -> str:
        if self._type == "s":
            return self._strings[int(value)] if value.isdecimal() and int(value) < len(self._strings) else ""
        if self._type == "b":
            return "TRUE" if value == "1" else "FALSE"
        if self._type == "n" and value:
            known = self._style < len(self._formats)
            return format_number(value, self._formats[self._style] if known else NumberFormat.PLAIN, self._from_1904)
        return value


def _column_index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def read_excel(file: InputFile, writer: SectionWriter) -> None:
    """Read an xlsx file; locators are like ``sheet Budget, rows 2-40``. Formulas give their last computed value."""
    archive = ZipArchive(file)
    part = main_part(archive)
    related = relationships(archive, part)
    workbook, strings, styles = _Workbook(), _SharedStrings(), _CellStyles()
    parse_xml(archive.open(part), workbook)
    for kind, handler in (("sharedStrings", strings), ("styles", styles)):
        for name in parts_of_kind(related, kind):
            if name in archive.names:
                parse_xml(archive.open(name), handler)
    sheets = [(title, related[relation].part) for title, relation in workbook.sheets if relation in related]
    total = sum(archive.size(name) for _, name in sheets) or 1
    done = 0
    for title, name in sheets:
        if name not in archive.names:
            writer.warn("missing_part", f"sheet {title} is missing from the file")
            continue
        table = TableWriter(writer, f"sheet {title}")
        rows = _Sheet(table, strings.strings, styles.formats, workbook.from_1904)
        parse_xml(archive.open(name), rows, on_block=partial(_report_progress, writer, done, total))
        table.end()
        done += archive.size(name)


def _report_progress(writer: SectionWriter, done: int, total: int, count: int) -> None:
    writer.progress((done + count) / total)
