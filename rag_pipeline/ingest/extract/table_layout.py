"""Lay out the rows of a table as lines that are clear by themselves: ``Region: North | Sales: 120``.

The header is searched among the first rows of each block; a blank row ends a block. Memory is bounded: at most 20 rows
are held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag_pipeline.ingest.extract.cell_kinds import CellKind, cell_kind
from rag_pipeline.ingest.extract.table_header import Header, find_header, names_columns

_LOOK_AHEAD_ROWS = 20
_LOOK_AHEAD_CELLS = 50_000


@dataclass(frozen=True, slots=True)
class TableLine:
    """A row as text, and its number. ``lacks_labels`` tells that it has values and no header was sure."""

    number: int
    text: str
    lacks_labels: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: list[str]
    width: int


class TableLayout:
    """Turns rows into lines. Pass rows to :meth:`row`, in order, and call :meth:`end` after the last one.

    ``of_records`` tells that the file is made to hold one table, as CSV is: then a header needs less evidence. In a
    spreadsheet, two columns beside a wider table are a form, whose first row names nothing.
    """

    def __init__(self, *, of_records: bool = False) -> None:
        self._of_records = of_records
        self._header: Header | None = None
        self._block: list[_Row] | None = []  # the first rows of a block, until its header is known; then None
        self._cells = 0
        self._has_ended = False  # whether a blank row followed the block
        self._loose_names: _Row | None = None  # a row of names with a blank row below
        self._last_number = 0
        self._widest = 0
        self._lacks_labels = False

    def row(self, number: int, cells: Sequence[str], *, is_header: bool = False) -> list[TableLine]:
        """Add a row; return the lines that are now certain. A gap in the numbers counts as a blank row.

        After a blank row, rows without names have no labels in a spreadsheet; in a file of records they may continue.
        ``is_header`` tells that the row is known to name the columns.
        """
        row = _Row(number, [" ".join(cell.split()) for cell in cells], len(cells))
        is_blank = not any(row.cells)
        lines: list[TableLine] = []
        if self._last_number and (is_blank or number > self._last_number + 1):
            self._has_ended = True
        self._last_number = number
        if is_blank:
            return lines
        while row.cells and not row.cells[-1]:
            row.cells.pop()
        if is_header and sum(map(bool, row.cells)) > 1:
            return [*self._decide(len(row.cells)), self._begin_table(row)]
        if self._has_ended:
            lines = self._decide(len(row.cells))
            self._block, self._cells, self._has_ended = [], 0, False
        if self._block is None:
            return [*lines, self._line(row)]
        self._block.append(row)
        self._cells += len(row.cells)
        if len(self._block) >= _LOOK_AHEAD_ROWS or self._cells >= _LOOK_AHEAD_CELLS:
            lines += self._decide(0)
        return lines

    def _begin_table(self, row: _Row) -> TableLine:
        """Take a row as the header of those below it."""
        self._header, self._loose_names, self._block = None, None, None
        self._has_ended = self._lacks_labels = False
        line = self._line(row)
        self._header = Header(0, tuple(row.cells), frozenset(), is_certain=True)
        return line

    def end_table(self) -> None:
        """Tell that the next row belongs to another table, as after a blank row."""
        self._has_ended = self._last_number > 0

    def end(self) -> list[TableLine]:
        """Return the lines held back."""
        return self._decide(0)

    def _decide(self, next_width: int) -> list[TableLine]:
        """Settle the header of the block read so far, and return its lines."""
        block, self._block = self._block, None
        if not block:
            return []
        self._lacks_labels = False
        width = max(len(row.cells) for row in block)
        is_form = width == 2 and max(next_width, self._widest) > 2
        self._widest = max(self._widest, width)
        found = None if is_form else find_header([row.cells for row in block], of_records=self._of_records)
        names, self._loose_names = self._loose_names, None
        if (found is None or not found.is_certain) and names is not None:
            joined = find_header([names.cells, *(row.cells for row in block)], of_records=self._of_records)
            if joined is not None and joined.index == 0:
                self._header = joined
                return [self._line(row) for row in block]
        if (found is None or not found.is_certain) and self._header is not None:
            if self._of_records and self._fits(block):
                return [self._line(row) for row in block]
            if found is not None and len(found.names) == len(self._header.names):
                found = None  # rows of text: the names can't be told from more rows of the table above
        self._lacks_labels = found is None and (len(block) > 1 or self._header is not None)
        self._header = None
        if found is None and names_columns(block[-1].cells):
            self._loose_names = block[-1] if len(block) == 1 or len(block[-2].cells) < 2 else None
        first = len(block) if found is None else found.index + 1
        lines = [self._line(row) for row in block[:first]]
        self._header = found
        return lines + [self._line(row) for row in block[first:]]

    def _fits(self, block: Sequence[_Row]) -> bool:
        """Return whether the rows of a block are records of the table above the blank row."""
        assert self._header is not None
        names, values = self._header.names, self._header.values
        has_values = False
        for row in block:
            kinds = [cell_kind(cell) for cell in row.cells]
            if len(kinds) > len(names) or (len(kinds) < 2 and row.width != len(names)):
                return False
            numbers = [kinds[at] for at in values if at < len(kinds) and kinds[at] is not CellKind.EMPTY]
            if not all(kind.is_value for kind in numbers):
                return False
            has_values = has_values or bool(numbers)
        return has_values or all(row.width == len(names) for row in block)

    def _line(self, row: _Row) -> TableLine:
        names = self._header.names if self._header is not None else ()
        filled = [at for at, cell in enumerate(row.cells) if cell]
        # A lone first cell is the title of a group or a note; a repeated header needs no labels.
        is_note = len(filled) == 1 and filled[0] == 0 and len(names) > 2
        is_labelled = bool(names) and not is_note and tuple(row.cells) != names
        cells = [
            f"{names[at]}: {row.cells[at]}" if is_labelled and at < len(names) and names[at] else row.cells[at]
            for at in filled
        ]
        # In two columns, the first cell may be the label of the second.
        lacks_labels = self._lacks_labels and (len(cells) > 2 or (len(cells) == 2 and cell_kind(cells[0]).is_value))
        return TableLine(row.number, " | ".join(cells), lacks_labels)


def lay_out(rows: Iterable[tuple[int, Sequence[str]]], *, of_records: bool = False) -> Iterator[TableLine]:
    """Yield the lines of numbered rows; see :class:`TableLayout`."""
    layout = TableLayout(of_records=of_records)
    for number, cells in rows:
        yield from layout.row(number, cells)
    yield from layout.end()
