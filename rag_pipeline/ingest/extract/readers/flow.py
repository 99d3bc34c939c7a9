"""Write paragraphs, tables and notes in reading order: sentences stay whole, and each row of a table is one line."""

from __future__ import annotations

from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.section_writer import SectionWriter

# Text moves outwards through each cell and note, so without a bound deep nesting would take quadratic time.
_MAX_DEPTH = 30
# A row with a small table beside short values is a row of values; others arrange what is on the page.
_MAX_VALUE_CHARACTERS, _MAX_NESTED_CHARACTERS = 60, 200


@dataclass(slots=True)
class _Frame:
    """A run of paragraphs: the document itself, a cell, a note or a text box.

    lines: its finished paragraphs, except for the document's, which are sent. after: the notes and text boxes that
    belong to the current paragraph.
    """

    label: str = ""
    lines: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Table:
    """A table: the cells of its current row, and the notes to write below the row.

    nested: the places of the row's cells that hold tables themselves.
    """

    cells: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    is_deleted: bool = False
    nested: set[int] = field(default_factory=set)


class FlowWriter:
    """Takes the text of a document as its elements start and end.

    A row of cells is one line, with `` | `` between them. A row of one cell, or one that only arranges tables in its
    cells, is written as the paragraphs and rows in it.

    Notes, comments and text boxes are anchored within a sentence: they are written after its paragraph, or after the
    row of its table. Calls may be unbalanced in damaged files: an end without a start is ignored.
    """

    def __init__(self, writer: SectionWriter | None) -> None:
        self._writer = writer
        self._frames = [_Frame()]
        self._tables: list[_Table] = []
        self._kinds: list[str] = []  # what is open: "aside", "table", "cell"

    @property
    def has_text(self) -> bool:
        """Whether the current paragraph has text."""
        return any(piece.strip() for piece in self._frames[-1].pieces)

    @property
    def in_table(self) -> bool:
        """Whether the current paragraph is in a table, so that it can't be a heading."""
        return len(self._frames) > 1

    @property
    def lines(self) -> list[str]:
        """The finished paragraphs, if there is no section writer."""
        return self._frames[0].lines

    def text(self, text: str) -> None:
        """Add text to the current paragraph."""
        self._frames[-1].pieces.append(text)

    def end_paragraph(self, level: int | None = None) -> None:
        """End the paragraph, a heading if it has a level; then write what is anchored in it."""
        frame = self._frames[-1]
        text = "".join(frame.pieces)
        frame.pieces.clear()
        if len(self._frames) > 1 or self._writer is None:
            frame.lines.append(text)
        elif level is not None and text.strip():
            self._writer.heading(level, text)
        else:
            self._writer.write(text + "\n")
        if self._tables and self._kinds and self._kinds[-1] == "cell":
            self._tables[-1].below += frame.after
        else:
            self._put(frame.after)
        frame.after = []

    def _put(self, lines: list[str]) -> None:
        """Write whole lines into the current run of paragraphs."""
        if len(self._frames) > 1 or self._writer is None:
            self._frames[-1].lines += lines
        elif lines:
            self._writer.write("\n".join(lines) + "\n")

    def add_after(self, lines: list[str]) -> None:
        """Add lines that are written after the current paragraph."""
        self._frames[-1].after += [line for line in lines if line.strip()]

    def start_aside(self, label: str = "") -> None:
        """Start a note, a comment or a text box; a label such as ``Comment`` stands before its text."""
        if len(self._frames) > _MAX_DEPTH:
            self._kinds.append("deep aside")
            return
        self._kinds.append("aside")
        self._frames.append(_Frame(label))

    def end_aside(self) -> None:
        """End the aside; it is written after the paragraph in which it started."""
        if self._kinds and self._kinds[-1] == "deep aside":
            self._kinds.pop()
        elif self._kinds and self._kinds[-1] == "aside":
            self._kinds.pop()
            frame = self._close_frame()
            lines = [line.strip() for line in frame.lines if line.strip()]
            if lines and frame.label:
                lines[0] = f"{frame.label}: {lines[0]}"
            self.add_after(lines)

    def _close_frame(self) -> _Frame:
        if self._frames[-1].pieces or self._frames[-1].after:
            self.end_paragraph()
        return self._frames.pop()

    def start_table(self) -> None:
        """Start a table, which may be in a cell of another one."""
        if self.has_text:
            self.end_paragraph()
        if len(self._frames) > _MAX_DEPTH:
            self._kinds.append("deep table")
            return
        self._kinds.append("table")
        self._tables.append(_Table())

    def start_row(self) -> None:
        """Start a row."""
        self.end_row()  # one that was not ended
        if self._tables and self._kinds[-1] == "table":
            self._tables[-1].is_deleted = False

    def delete_row(self) -> None:
        """Leave the current row out."""
        if self._tables:
            self._tables[-1].is_deleted = True

    def start_cell(self) -> None:
        """Start a cell."""
        if self._kinds and self._kinds[-1] == "table":
            self._kinds.append("cell")
            self._frames.append(_Frame())

    def end_cell(self, columns: int = 1, *, repeats_above: bool = False) -> None:
        """End the cell; ``repeats_above`` tells that the cell above extends into this one, ``columns`` its width."""
        if not self._kinds or self._kinds[-1] != "cell":
            return
        self._kinds.pop()
        table = self._tables[-1]
        lines = [line for line in self._close_frame().lines if line.strip()]
        at = len(table.cells)
        if repeats_above and not lines and at < len(table.last):
            lines = [table.last[at]]
        table.cells.append("\n".join(lines))
        # A wide cell takes the places of others, so that rows can be compared by place.
        table.cells += ["\0"] * (min(max(columns, 1), 1000) - 1)

    def end_row(self) -> None:
        """Write the row as one line; a row of one cell as its paragraphs."""
        if not self._tables or self._kinds[-1] != "table":
            return
        table = self._tables[-1]
        if not table.is_deleted:
            cells = [cell for cell in table.cells if cell != "\0"]
            if len(cells) == 1 or _is_layout(table):
                lines = [line for cell in cells for line in cell.split("\n")]
            else:
                lines = [" | ".join(" ".join(cell.split()) for cell in cells).strip(" |")]
            self._put_row([line for line in [*lines, *table.below] if line.strip()])
            table.last = table.cells or table.last
        table.cells, table.below, table.nested = [], [], set()

    def _put_row(self, lines: list[str]) -> None:
        if len(self._tables) > 1 and "cell" in self._kinds:
            self._tables[-2].nested.add(len(self._tables[-2].cells))
        self._put(lines)

    def end_table(self) -> None:
        """End the table."""
        self.end_row()
        if self._kinds and self._kinds[-1] == "deep table":
            self._kinds.pop()
        elif self._kinds and self._kinds[-1] == "table":
            self._kinds.pop()
            self._tables.pop()
            if not self._tables:
                self._put([""])

    def end(self) -> None:
        """Write what is left over in a damaged file."""
        while self._kinds:
            match self._kinds[-1]:
                case "aside" | "deep aside":
                    self.end_aside()
                case "cell":
                    self.end_cell()
                case _:
                    self.end_row()
                    self.end_table()
        if self._frames[-1].pieces or self._frames[-1].after:
            self.end_paragraph()


def _is_layout(table: _Table) -> bool:
    """Return whether a row with tables in its cells only arranges them on the page.

    A small table beside short values, below a row of as many short values, is a value itself.
    """
    if not table.nested:
        return False
    others = [cell for at, cell in enumerate(table.cells) if at not in table.nested]
    are_values = all(map(_is_value, [*table.last, *others])) and any(cell.strip("\0") for cell in others)
    is_below_values = len(table.last) == len(table.cells) and sum(cell not in ("", "\0") for cell in table.last) > 1
    nested = [cell for at, cell in enumerate(table.cells) if at in table.nested]
    is_small = all(len(cell) <= _MAX_NESTED_CHARACTERS for cell in nested)
    return not (are_values and is_below_values and is_small)


def _is_value(cell: str) -> bool:
    return len(cell) <= _MAX_VALUE_CHARACTERS and "\n" not in cell
