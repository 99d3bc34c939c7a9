"""Tables of RTF documents, which only mark their ends."""

from __future__ import annotations

from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.rtf_layout import RtfLayout


def lines(layout: RtfLayout) -> list[str]:
    layout.end()
    return [line for line in layout.flow.lines if line.strip()]


def test_cells_open_when_text_arrives() -> None:
    layout = RtfLayout(FlowWriter(None))
    layout.text("before")
    layout.end_paragraph()
    layout.depth = 1
    for text in ("a", "b"):
        layout.text(text)
        layout.end_paragraph()
        layout.text("x")
        layout.end_cell()
    layout.end_row()
    layout.reset_paragraph()
    layout.text("after")
    assert lines(layout) == ["before", "a x | b x", "after"]


def test_tables_in_cells() -> None:
    layout = RtfLayout(FlowWriter(None))
    layout.depth = 2
    layout.text("n1")
    layout.end_cell(2)
    layout.text("n2")
    layout.end_cell(2)
    layout.end_row(2)
    layout.depth = 1
    layout.text("left")
    layout.end_cell()
    layout.text("right")
    layout.end_cell()
    layout.end_row()
    assert lines(layout) == ["n1 | n2", "left", "right"]


def test_a_cell_may_extend_into_the_next_row() -> None:
    layout = RtfLayout(FlowWriter(None))
    layout.depth = 1
    for first, merged in (("North", False), ("", True)):
        layout.start_row_definition()
        layout.define_cell(repeats_above=merged)
        layout.define_cell(repeats_above=False)
        for text in (first, "a"):
            layout.text(text)
            layout.end_cell()
        layout.end_row()
    assert lines(layout) == ["North | a", "North | a"]


def test_ends_without_starts_and_endless_depth() -> None:
    layout = RtfLayout(FlowWriter(None))
    layout.end_row()
    layout.end_cell()
    layout.depth = 10**9
    layout.text("deep")
    assert lines(layout) == ["deep"]
