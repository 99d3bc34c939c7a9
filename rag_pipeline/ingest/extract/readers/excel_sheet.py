"""Read the rows of an Excel sheet, with values as displayed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.readers.excel_parts import decode_escapes, is_true
from rag_pipeline.ingest.extract.readers.number_format import NumberFormat, built_in_format
from rag_pipeline.ingest.extract.readers.numbers import show_number, show_text
from rag_pipeline.ingest.extract.readers.sheet_writer import HiddenColumns, RowSpans, SheetWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_CELL = re.compile(r"([A-Z]{1,3})([0-9]*)")
_MERGED = re.compile(rb'<(?:\w{1,20}:)?mergeCell\s[^<>]{0,200}?ref="([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"')
MAX_COLUMNS = 16_384
_MAX_MERGED = 100_000
_FILTER = re.compile(rb"<(?:x:)?autoFilter\b[^<>]{0,100}?\bref=[\"']\$?[A-Z]{1,3}\$?([0-9]{1,7}):")
_MAX_SCANNED_BYTES = 64 << 20
_GENERAL = built_in_format(0)


@dataclass(slots=True)
class SheetContext:
    """What a sheet's cells refer to, and what belongs to them.

    merged: the last row of cells that extend over several rows, by column and first row. notes: comments by reference.
    header_rows: the rows that name columns. last_rows: where a table ends, even if the next row is not blank.
    """

    strings: Sequence[str]
    formats: Sequence[NumberFormat]
    from_1904: bool
    merged: Mapping[tuple[int, int], int] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    header_rows: frozenset[int] = frozenset()
    last_rows: frozenset[int] = frozenset()


class Sheet(XmlHandler):
    """Passes rows of displayed values to a sheet writer; hidden rows and columns are left out unless asked for."""

    def __init__(self, writer: SheetWriter, context: SheetContext, *, with_hidden: bool) -> None:
        self.hidden = 0
        """The number of hidden rows and columns with content that were left out."""
        self.without_result = 0
        """The number of formulas whose result is not stored."""
        self._writer = writer
        self._context = context
        self._with_hidden = with_hidden
        self._columns = HiddenColumns(shown=with_hidden)
        self._spans = RowSpans()
        self._row = 0
        self._is_hidden = False
        self._cells: list[str] = []
        self._notes: list[str] = []
        self._column = 0
        self._reference = ""
        self._type = ""
        self._style = 0
        self._value: list[str] = []
        self._in_value = False
        self._has_formula = False
        self._phonetic = 0
        self._unused_notes = dict.fromkeys(context.notes)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a row, a cell or a value."""
        if name == "c":
            self._reference = attributes.get("r", "")
            cell = _CELL.match(self._reference)
            self._column = column_index(cell[1]) if cell else len(self._cells)
            self._type = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdecimal() else 0
            self._value = []
            self._has_formula = False
        elif name in ("v", "t"):
            self._in_value = not self._phonetic
        elif name == "f":
            self._has_formula = True
        elif name == "rPh":
            self._phonetic += 1
        elif name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() and len(number) < 9 else self._row + 1
            self._is_hidden = is_true(attributes.get("hidden")) or attributes.get("ht") == "0"
            self._cells, self._notes = [], []
        elif name == "col":
            self._take_column(attributes)

    def _take_column(self, attributes: Mapping[str, str]) -> None:
        if is_true(attributes.get("hidden")) or attributes.get("width") == "0":
            first, last = attribute(attributes, "min") or "", attribute(attributes, "max") or ""
            if first.isdecimal() and last.isdecimal() and len(first) < 6 and len(last) < 6:
                self._columns.add(int(first) - 1, int(last) - 1)

    def end(self, name: str) -> None:
        """End a value, a cell or a row."""
        if name in ("v", "t"):
            self._in_value = False
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "c":
            self._end_cell()
        elif name == "row":
            self._end_row()

    def text(self, text: str) -> None:
        """Take a piece of a value."""
        if self._in_value:
            self._value.append(text)

    def _end_cell(self) -> None:
        raw = "".join(self._value)
        value = self._displayed(raw)
        if self._has_formula and not raw and self._type != "str":
            self.without_result += 1
        if self._column >= MAX_COLUMNS:
            return
        value = self._columns.text(self._column, value)
        for note in self._context.notes.get(self._reference, ()):
            self._notes.append(f"Comment on {self._reference}: {note}")
            self._unused_notes.pop(self._reference, None)
        if value:
            self._cells.extend([""] * (self._column + 1 - len(self._cells)))
            self._cells[self._column] = value
            last = self._context.merged.get((self._column, self._row))
            if last is not None:
                self._spans.start(self._column, last, value)

    def _end_row(self) -> None:
        if self._row - 1 in self._context.last_rows:
            self._writer.end_table()
        if self._is_hidden and not self._with_hidden:
            self._writer.skip()
            self.hidden += any(self._cells)
            return
        self._spans.fill(self._row, self._cells)
        is_header = self._row in self._context.header_rows
        self._writer.row(self._row, self._cells, self._notes, hidden=self._is_hidden, is_header=is_header)

    def end_sheet(self) -> None:
        """Count the columns left out, and write the comments on cells that have no entry in the file."""
        self.hidden += self._columns.left_out
        notes = [f"Comment on {at}: {note}" for at in self._unused_notes for note in self._context.notes[at]]
        if notes:
            self._writer.row(self._row + 2, [], notes)

    def _displayed(self, value: str) -> str:
        if self._type == "s":
            value = value.strip()
            strings = self._context.strings
            text = strings[int(value)] if value.isdecimal() and int(value) < len(strings) else ""
            return show_text(text, self._format()) if self._style else text
        if self._type == "b":
            return "TRUE" if value.strip() == "1" else "FALSE" if value else ""
        if self._type == "n" and value:
            return show_number(value, self._format(), self._context.from_1904)
        if self._type in ("str", "inlineStr"):
            return decode_escapes(value)
        if self._type == "d":
            return value.replace("T", " ")
        return value

    def _format(self) -> NumberFormat:
        formats = self._context.formats
        return formats[self._style] if self._style < len(formats) else _GENERAL


def column_index(letters: str) -> int:
    """Return the index of a column, from 0, by its letters."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def merged_rows(archive: ZipArchive, part: str) -> tuple[dict[tuple[int, int], int], frozenset[int]]:
    """Return the last row of cells that extend over several rows, by column and first row, and the rows of filters.

    Both come after the rows, so they are searched in the bytes before the sheet is parsed. A filter stands on a header.
    """
    found: dict[tuple[int, int], int] = {}
    filters: set[int] = set()
    if not 0 < archive.size(part) <= _MAX_SCANNED_BYTES:
        return found, frozenset()
    member = archive.open(part)
    tail = b""
    while block := member.read(1 << 16):
        tail += block
        for match in _MERGED.finditer(tail):
            first, last = int(match[2]), int(match[4])
            if last > first and match[1] == match[3] and len(found) < _MAX_MERGED:
                found[column_index(match[1].decode()), first] = last
        filters.update(int(match[1]) for match in _FILTER.finditer(tail))
        tail = tail[-200:]
    return found, frozenset(filters)
