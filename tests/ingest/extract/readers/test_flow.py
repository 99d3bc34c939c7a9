"""Paragraphs, tables and notes in reading order."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.flow import FlowWriter

CALLS = ["end_paragraph", "start_aside", "end_aside", "start_table", "start_row", "start_cell", "end_cell", "end_row",
         "end_table", "delete_row"]  # fmt: skip


def run(script: str) -> list[str]:
    """Return the lines after a script: words are text, ``/`` ends a paragraph; ``( )`` aside, ``[ ]`` table,
    ``{ }`` row, ``< >`` cell.
    """
    flow = FlowWriter(None)
    calls: dict[str, Callable[[], None]] = {
        "/": flow.end_paragraph, "(": flow.start_aside, ")": flow.end_aside, "[": flow.start_table,
        "]": flow.end_table, "{": flow.start_row, "}": flow.end_row, "<": flow.start_cell, ">": flow.end_cell,
    }  # fmt: skip
    for char in script:
        calls[char]() if char in calls else flow.text(char)
    flow.end()
    return [line for line in flow.lines if line.strip()]


def test_a_note_leaves_its_sentence_whole() -> None:
    assert run("one(note) two/three/") == ["one two", "note", "three"]
    assert run("a(b(c/)d/)e/") == ["ae", "bd", "c"]


def test_a_row_is_one_line_and_its_notes_follow() -> None:
    assert run("[{<a/b/><c(note)d/><>}{<e/><f/>}]") == ["a b | cd", "note", "e | f"]
    assert run("[{<><x/>}]") == ["x"]


def test_a_row_of_one_cell_keeps_its_paragraphs() -> None:
    assert run("[{<a/b/>}]") == ["a", "b"]


def test_a_row_around_a_table_only_arranges_it() -> None:
    assert run("[{<left/><before/[{<n1/><n2/>}]after/><right/>}]") == [
        "left", "before", "n1 | n2", "after", "right",
    ]  # fmt: skip


def test_a_small_table_in_a_row_of_values_is_a_value() -> None:
    header, nested = "{<Item/><Size/><Price/>}", "[{<DN/><50/>}{<PN/><16/>}]"
    assert run(f"[{header}{{<Valve/><{nested}><9/>}}{{<Pump/><s/><8/>}}]") == [
        "Item | Size | Price", "Valve | DN | 50 PN | 16 | 9", "Pump | s | 8",
    ]  # fmt: skip
    assert run(f"[{header}{{<Valve/><{nested}><{'long' * 20}/>}}]")[1:3] == ["Valve", "DN | 50"]


def test_the_cell_above_may_extend_into_a_row() -> None:
    flow = FlowWriter(None)
    flow.start_table()
    for cells in (("North", "a"), ("", "b")):
        flow.start_row()
        for at, cell in enumerate(cells):
            flow.start_cell()
            flow.text(cell)
            flow.end_cell(repeats_above=at == 0)
        flow.end_row()
    flow.end_table()
    assert [line for line in flow.lines if line] == ["North | a", "North | b"]


def test_deleted_rows_are_left_out_and_labels_stand_before_notes() -> None:
    flow = FlowWriter(None)
    flow.start_table()
    flow.start_row()
    flow.start_cell()
    flow.text("gone")
    flow.delete_row()
    flow.end_cell()
    flow.end_row()
    flow.end_table()
    flow.text("text")
    flow.start_aside("Comment")
    flow.text("why?")
    flow.end_aside()
    flow.end_paragraph()
    assert [line for line in flow.lines if line] == ["text", "Comment: why?"]


def test_text_in_deep_nesting_is_kept() -> None:
    assert "".join(run("[{<" * 200 + "deep/" + ">}]" * 200 + "end/")) == "deepend"
    assert "".join(run("x(" * 200 + "deep" + ")" * 200 + "/")).count("x") == 200


@given(st.lists(st.sampled_from(CALLS), max_size=60))
def test_unbalanced_calls_lose_no_text(calls: list[str]) -> None:
    flow = FlowWriter(None)
    for number, call in enumerate(calls):
        flow.text(f"w{number} ")
        getattr(flow, call)()
    flow.end()
    if "delete_row" not in calls and "end_row" not in calls:
        words = " ".join(flow.lines).split()
        assert {f"w{number}" for number in range(len(calls))} <= set(words)
