"""Rows of sheets, with hidden rows and columns, cells over several rows, and notes."""

from __future__ import annotations

from rag_pipeline.ingest.extract.messages import SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.extract.readers.sheet_writer import HiddenColumns, RowSpans, SheetWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter


def make() -> tuple[SheetWriter, SectionWriter, list[WorkerMessage]]:
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1_000_000)
    return SheetWriter(writer, "sheet A"), writer, sent


def sections(sent: list[WorkerMessage]) -> list[tuple[str, str]]:
    return [(message.locator, message.text) for message in sent if isinstance(message, SectionFound)]


def test_notes_stand_below_their_rows() -> None:
    rows, writer, sent = make()
    rows.row(1, ["Item", "Price"])
    rows.row(2, ["Valve", "12"], ["Comment on B2: net"])
    rows.row(3, ["Pump", "99"])
    rows.row(9, [], ["Comment on D9: alone"])
    rows.end()
    writer.finish()
    ((locator, text),) = sections(sent)
    assert locator == "sheet A, rows 1-9"
    assert text.splitlines() == [
        "Item | Price",
        "Item: Valve | Price: 12",
        "Comment on B2: net",
        "Item: Pump | Price: 99",
        "Comment on D9: alone",
    ]


def test_a_hidden_row_does_not_end_a_table() -> None:
    rows, writer, sent = make()
    rows.row(1, ["Item", "Qty", "Price"])
    rows.row(2, ["Valve", "3", "12"])
    rows.skip()
    rows.row(4, ["Pump", "1", "99"])
    rows.row(5, ["Hose", "2", "5"], hidden=True)
    rows.end()
    writer.finish()
    ((locator, text),) = sections(sent)
    assert locator == "sheet A, rows 1-5"
    assert text.splitlines()[2:] == [
        "Item: Pump | Qty: 1 | Price: 99",
        "[hidden] Item: Hose | Qty: 2 | Price: 5",
    ]


def test_rows_without_labels_are_a_warning() -> None:
    rows, writer, sent = make()
    for number in range(1, 5):
        rows.row(number, ["1", "2", "3"])
    rows.end()
    writer.finish()
    assert [message.type for message in sent if isinstance(message, Warned)][:1] == ["unlabelled_rows"]


def test_hidden_columns_are_left_out_or_marked_once() -> None:
    hidden = HiddenColumns(shown=False)
    hidden.add(1, 2)
    hidden.add(-5, 20)
    assert [hidden.text(at, "x") for at in range(4)] == ["x", "", "", "x"]
    assert hidden.left_out == 2
    shown = HiddenColumns(shown=True)
    shown.add(1, 1)
    assert [shown.text(1, "Cost"), shown.text(1, "5"), shown.text(0, "")] == ["[hidden] Cost", "5", ""]
    assert shown.left_out == 0


def test_a_cell_over_several_rows_belongs_to_each() -> None:
    spans = RowSpans()
    spans.start(1, 3, "North")
    filled = []
    for row in (2, 3, 4):
        cells = ["a"]
        spans.fill(row, cells)
        filled.append(cells)
    assert filled == [["a", "North"], ["a", "North"], ["a"]]
    spans.start(0, 9, "x")
    blank: list[str] = []
    spans.fill(5, blank)
    assert blank == []
