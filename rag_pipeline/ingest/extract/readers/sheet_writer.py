"""Write the rows of a sheet in sections, with the notes that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.table_layout import TableLayout, TableLine

_BLOCK_CHARACTERS = 2000
HIDDEN_MARK = "[hidden] "
"""Stands before text that is not shown, such as a hidden row, when the settings bring it in."""

_MAX_COLUMNS = 16_384
_MAX_SPANS = 256


class HiddenColumns:
    """The hidden columns of a sheet, which are left out or marked."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._hidden = bytearray(_MAX_COLUMNS)
        self._ranges = 0
        self._marked: set[int] = set()
        self._left_out: set[int] = set()

    @property
    def left_out(self) -> int:
        """The number of columns with text that were left out."""
        return len(self._left_out)

    def add(self, first: int, last: int) -> None:
        """Hide a range of columns, counted from 0."""
        self._ranges += 1
        last = min(last, _MAX_COLUMNS - 1)
        if 0 <= first <= last and self._ranges <= _MAX_COLUMNS:
            self._hidden[first : last + 1] = b"\x01" * (last + 1 - first)

    def text(self, column: int, text: str) -> str:
        """Return the text of a cell as it is to be written: empty if it is left out."""
        if not text or column >= _MAX_COLUMNS or not self._hidden[column]:
            return text
        if not self._shown:
            self._left_out.add(column)
            return ""
        if column in self._marked:
            return text
        self._marked.add(column)  # the name of the column, or its first value
        return HIDDEN_MARK + text


class RowSpans:
    """Cells that extend over several rows, and so belong to each of them."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, str]] = {}

    def start(self, column: int, last_row: int, text: str) -> None:
        """Remember a cell until its last row."""
        if len(self._open) < _MAX_SPANS:
            self._open[column] = last_row, text

    def fill(self, row: int, cells: list[str]) -> None:
        """Put the cells that extend into a row into its empty places."""
        if not self._open or not any(cells):
            return
        for column, (last_row, text) in list(self._open.items()):
            if row > last_row:
                del self._open[column]
            elif column >= len(cells) or not cells[column]:
                cells.extend([""] * (column + 1 - len(cells)))
                cells[column] = text


class SheetWriter:
    """Writes rows so that each is clear by itself: ``Region: North | Sales: 120``.

    Rows are labelled by :class:`~rag_pipeline.ingest.extract.table_layout.TableLayout` where their header is sure.
    Sections have about 2,000 characters and locators such as ``sheet Budget, rows 2-40``.
    """

    def __init__(self, writer: SectionWriter, locator: str = "", *, of_records: bool = False) -> None:
        self._writer = writer
        self._prefix = f"{locator}, " if locator else ""
        self._layout = TableLayout(of_records=of_records)
        # A hidden row is no blank row, so the layout counts only rows that are shown.
        self._skipped = 0
        self._numbers: dict[int, int] = {}
        self._hidden: set[int] = set()
        self._notes: dict[int, list[str]] = {}
        self._lines: list[str] = []
        self._characters = 0
        self._first = self._last = 0

    def skip(self, rows: int = 1) -> None:
        """Tell that the next rows are left out because they are hidden."""
        self._skipped += rows

    def end_table(self) -> None:
        """Tell that the next row belongs to another table."""
        self._layout.end_table()

    def row(
        self,
        number: int,
        cells: Sequence[str],
        notes: Sequence[str] = (),
        *,
        hidden: bool = False,
        is_header: bool = False,
    ) -> None:
        """Add the next row; ``number`` counts from 1. ``notes`` are written below it.

        ``is_header`` tells that the file says that the row names the columns below it.
        """
        position = number - self._skipped
        self._numbers[position] = number
        if notes:
            self._notes[position] = list(notes)
        if hidden:
            self._hidden.add(position)
        if notes and not any(cells):
            self._add(self._layout.end())
            self._add([TableLine(position, "")])
        else:
            self._add(self._layout.row(position, cells, is_header=is_header))

    def end(self) -> None:
        """Write the pending rows."""
        self._add(self._layout.end())
        self._numbers.clear()
        self._send()

    def _add(self, lines: Sequence[TableLine]) -> None:
        for line in lines:
            number = self._numbers.get(line.number, line.number)
            mark = HIDDEN_MARK if line.number in self._hidden else ""
            if not self._lines:
                self._first = number
            self._last = number
            if line.lacks_labels:
                self._writer.warn("unlabelled_rows", "rows without labels: no header was found")
            self._put(mark + line.text)
            for note in self._notes.pop(line.number, ()):
                self._put(note)
            if self._characters >= _BLOCK_CHARACTERS:
                self._send()
        if lines:
            self._numbers = {at: number for at, number in self._numbers.items() if at > lines[-1].number}

    def _put(self, text: str) -> None:
        if text:
            self._lines.append(text)
            self._characters += len(text)

    def _send(self) -> None:
        """Write the lines as a section."""
        if not self._lines:
            return
        rows = f"row {self._first}" if self._first == self._last else f"rows {self._first}-{self._last}"
        self._writer.section(self._prefix + rows)
        self._writer.write("\n".join(self._lines) + "\n")
        self._lines = []
        self._characters = 0
