"""Bring the paragraphs and table cells of an RTF document, which only mark their ends, into a flow."""

from __future__ import annotations

from rag_pipeline.ingest.extract.readers.flow import FlowWriter

_MAX_DEPTH = 20


class RtfLayout:
    """Opens tables, rows and cells when text arrives in them. ``depth`` is the number of tables around the text."""

    def __init__(self, flow: FlowWriter) -> None:
        self.flow = flow
        self.depth = 0
        self.level: int | None = None
        self._open: list[bool] = []  # for each open table, whether a cell is open
        self._merged: list[bool] = []
        self._cell = 0

    def start_row_definition(self) -> None:
        """Start the definition of a row."""
        self._merged = []

    def define_cell(self, *, repeats_above: bool) -> None:
        """Define the next cell of a row."""
        if len(self._merged) < 1000:
            self._merged.append(repeats_above)

    def reset_paragraph(self) -> None:
        """Forget the properties of the last paragraph."""
        self.depth = 0
        self.level = None

    def text(self, text: str) -> None:
        """Add text to the paragraph."""
        if text.strip() or self.flow.has_text:
            self._reach(self.depth)
            self.flow.text(text)

    def end_paragraph(self) -> None:
        """End the paragraph."""
        self._reach(self.depth)
        self.flow.end_paragraph(self.level)

    def end_cell(self, depth: int = 1) -> None:
        """End a cell of the table at a depth."""
        self._reach(max(depth, 1))
        is_merged = depth == 1 and self._cell < len(self._merged) and self._merged[self._cell]
        self.flow.end_cell(repeats_above=is_merged)
        self._open[-1] = False
        self._cell += depth == 1

    def end_row(self, depth: int = 1) -> None:
        """End a row of the table at a depth."""
        self._close(max(depth, 1))
        if len(self._open) == max(depth, 1):
            self._end_cell()
            self.flow.end_row()
            self.flow.start_row()
        if depth == 1:
            self._cell = 0

    def end(self) -> None:
        """End what is open, and the flow."""
        self._close(0)
        self.flow.end()

    def end_open(self) -> None:
        """End the tables that are open."""
        self._close(0)

    def _reach(self, depth: int) -> None:
        depth = min(depth, _MAX_DEPTH)
        self._close(depth)
        while len(self._open) < depth:
            self._start_cell()
            self.flow.start_table()
            self.flow.start_row()
            self._open.append(False)
        self._start_cell()

    def _start_cell(self) -> None:
        if self._open and not self._open[-1]:
            self.flow.start_cell()
            self._open[-1] = True

    def _end_cell(self) -> None:
        if self._open and self._open[-1]:
            self.flow.end_cell()
            self._open[-1] = False

    def _close(self, depth: int) -> None:
        while len(self._open) > depth:
            self._end_cell()
            self.flow.end_row()
            self.flow.end_table()
            self._open.pop()
