"""Read the sheets of an OpenDocument spreadsheet; the file has the values as displayed."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.readers.opendocument_body import SHAPES, OdfContext
from rag_pipeline.ingest.extract.readers.sheet_writer import HiddenColumns, RowSpans, SheetWriter
from rag_pipeline.ingest.extract.readers.word_styles import whole_number
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_SKIPPED = frozenset({"tracked-changes", "forms", "creator", "date", "date-string", "scripts", "ruby-text", "title",
                      "desc", "creator-initials", "meta-creator-initials", "dde-links"})  # fmt: skip
# Sheets are padded to their edge with repeated cells; few repeated cells carry data.
_MAX_REPEATED_CELLS = 64
_MAX_REPEATED_ROWS = 256
_VALUES = ("string-value", "date-value", "time-value", "boolean-value", "value")


class OdfSheets(XmlHandler):
    """Passes rows to a sheet writer; hidden sheets, rows and columns are left out unless asked for."""

    def __init__(self, writer: SectionWriter, context: OdfContext) -> None:
        self._writer = writer
        self._context = context
        self._skipping = 0
        self._title = ""
        self._sheet: SheetWriter | None = None
        self._row = 0
        self._repeat = 1
        self._row_is_hidden = False
        self._column = 0
        self._columns = HiddenColumns(shown=context.with_hidden)
        self._spans = RowSpans()
        self._cells: list[str] = []
        self._notes: list[str] = []
        self._pieces: list[str] = []
        self._paragraphs = 0
        self._value = ""
        self._cell_repeat = 1
        self._rows_spanned = 1
        self._aside = 0
        self._aside_pieces: list[str] = []
        self._is_comment = False
        self._drawings: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a sheet, row or cell, or an element in a cell."""
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
        elif name == "table":
            self._start_sheet(attributes)
        elif name == "table-column":
            repeat = _count(attributes, "number-columns-repeated", 1 << 14)
            if attribute(attributes, "visibility") in ("collapse", "filter"):
                self._columns.add(self._column, self._column + repeat - 1)
            self._column += repeat
        elif name == "table-row":
            self._repeat = _count(attributes, "number-rows-repeated", 1 << 20)
            self._row_is_hidden = attribute(attributes, "visibility") in ("collapse", "filter")
            self._cells, self._notes = [], []
        elif name in ("table-cell", "covered-table-cell"):
            self._pieces = []
            self._cell_repeat = _count(attributes, "number-columns-repeated", 1 << 14)
            self._rows_spanned = _count(attributes, "number-rows-spanned", 1 << 20)
            self._value = next((value for key in _VALUES if (value := attribute(attributes, key)) is not None), "")
        elif name == "p":
            self._paragraphs += 1
        elif name in ("annotation", "text-box") or name in SHAPES:
            self._aside += 1
            self._is_comment = name == "annotation"
        elif name == "object":
            self._drawings += self._context.embedded(attribute(attributes, "href") or "")
        elif name in ("s", "tab", "line-break"):
            self._add(" ")

    def _start_sheet(self, attributes: Mapping[str, str]) -> None:
        is_hidden = self._context.styles.is_hidden(attribute(attributes, "style-name"))
        if is_hidden and not self._context.with_hidden:
            self._context.hidden += 1
            self._skipping = 1
            return
        name = attribute(attributes, "name") or ""
        self._title = f"sheet {name}".strip() + (" (hidden)" if is_hidden else "")
        self._sheet = SheetWriter(self._writer, self._title)
        self._row = self._column = 0
        self._columns = HiddenColumns(shown=self._context.with_hidden)
        self._spans = RowSpans()
        self._drawings = []

    def end(self, name: str) -> None:
        """End a sheet, row or cell, or an element in a cell."""
        if self._skipping:
            self._skipping -= 1
        elif name == "p":
            self._paragraphs -= 1
            self._add("\n")
        elif name in ("annotation", "text-box") or name in SHAPES:
            self._end_aside()
        elif name in ("table-cell", "covered-table-cell"):
            self._end_cell()
        elif name == "table-row":
            self._end_row()
        elif name == "table" and self._sheet is not None:
            self._end_sheet()

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._paragraphs and not self._skipping:
            self._add(text)

    def _add(self, text: str) -> None:
        (self._aside_pieces if self._aside else self._pieces).append(text)

    def _end_aside(self) -> None:
        self._aside -= 1
        text = " ".join("".join(self._aside_pieces).split())
        self._aside_pieces = []
        if not text:
            return
        if not self._is_comment:
            self._drawings.append(text)
        elif self._context.with_comments:
            self._notes.append(f"Comment on {_letters(len(self._cells))}{self._row + 1}: {text}")

    def _end_cell(self) -> None:
        text = "".join(self._pieces).strip() or self._value
        at = len(self._cells)
        text = self._columns.text(at, text)
        if text and self._rows_spanned > 1:
            self._spans.start(at, self._row + self._rows_spanned - 1, text)
        repeat = self._cell_repeat if not text else min(self._cell_repeat, _MAX_REPEATED_CELLS)
        self._cells.extend([text] * min(repeat, 1 << 14))

    def _end_row(self) -> None:
        if self._sheet is None:
            return
        if self._row_is_hidden and not self._context.with_hidden:
            self._context.hidden += any(self._cells)
            self._sheet.skip(self._repeat)
        elif any(self._cells) or self._notes:
            self._spans.fill(self._row, self._cells)
            for repeat in range(min(self._repeat, _MAX_REPEATED_ROWS)):
                self._sheet.row(self._row + repeat + 1, self._cells, self._notes, hidden=self._row_is_hidden)
        self._row += self._repeat

    def _end_sheet(self) -> None:
        assert self._sheet is not None
        self._sheet.end()
        self._context.hidden += self._columns.left_out
        if self._drawings:
            self._writer.section(f"{self._title}, drawings")
            self._writer.write("\n".join(self._drawings) + "\n")
        self._sheet = None


def _count(attributes: Mapping[str, str], name: str, limit: int) -> int:
    return min(max(1, whole_number(attribute(attributes, name), 1)), limit)


def _letters(column: int) -> str:
    """Return the letters of a column: A, B, … Z, AA, …"""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
