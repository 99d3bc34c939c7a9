"""Rows become lines with labels: a new table after each blank row, and no label rather than a wrong one."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.table_layout import TableLayout, lay_out


def lines(*rows: str, of_records: bool = False) -> list[str]:
    return [line.text for line in lay_out(_numbered(rows), of_records=of_records)]


def _numbered(rows: Sequence[str]) -> list[tuple[int, list[str]]]:
    return [(number, row.split("|")) for number, row in enumerate(rows, start=1)]


def test_rows_below_titles_are_labelled() -> None:
    rows = ["Annual  budget", "", "Region|Manager|Sales", "North|Ann|120", "|Bob|80"]
    assert lines(*rows) == [
        "Annual budget",
        "Region | Manager | Sales",
        "Region: North | Manager: Ann | Sales: 120",
        "Manager: Bob | Sales: 80",
    ]


def test_a_blank_row_begins_a_new_table() -> None:
    rows = ["Who|Team|Days", "Ann|HR|1", "Bob|IT|2", "", "Product|Color|Price", "Valve|red|5", "Pump|blue|6"]
    assert lines(*rows)[2:] == [
        "Who: Bob | Team: IT | Days: 2",
        "Product | Color | Price",
        "Product: Valve | Color: red | Price: 5",
        "Product: Pump | Color: blue | Price: 6",
    ]


def test_a_gap_in_the_numbers_is_a_blank_row() -> None:
    layout = TableLayout()
    rows = [(1, ["a", "b", "c"]), (2, ["x", "y", "1"]), (5, ["Notes"]), (6, ["Nothing"])]
    found = [line for number, cells in rows for line in layout.row(number, cells)] + layout.end()
    assert [(line.number, line.text) for line in found] == [
        (1, "a | b | c"),
        (2, "a: x | b: y | c: 1"),
        (5, "Notes"),
        (6, "Nothing"),
    ]


def test_a_form_above_or_below_a_table_has_no_labels() -> None:
    rows = ["Customer|ACME", "Total|500", "Tax|20", "", "Item|Qty|Price", "Valve|3|12.5", "", "Sum|12", "Tax|2"]
    assert lines(*rows) == [
        "Customer | ACME",
        "Total | 500",
        "Tax | 20",
        "Item | Qty | Price",
        "Item: Valve | Qty: 3 | Price: 12.5",
        "Sum | 12",
        "Tax | 2",
    ]


def test_rows_without_names_after_a_blank_row_have_no_labels_in_a_spreadsheet() -> None:
    rows = ["Region|Sales", "North|120", "South|90", "", "Printed copies|7", "Pages|3"]
    assert lines(*rows)[3:] == ["Printed copies | 7", "Pages | 3"]
    assert lines("Item|Qty|Price", "Valve|3|5", "", "Pump|1|9", "Total||14")[2:] == ["Pump | 1 | 9", "Total | 14"]


def test_a_table_may_end_without_a_blank_row() -> None:
    layout = TableLayout()
    found = [
        line
        for number in (1, 2)
        for line in layout.row(number, [["Region", "Qty", "Sum"], ["North", "1", "5"]][number - 1])
    ]
    layout.end_table()
    found += [*layout.row(3, ["Pages", "7", "9"]), *layout.end()]
    assert [line.text for line in found][1:] == ["Region: North | Qty: 1 | Sum: 5", "Pages | 7 | 9"]


def test_records_that_fit_continue_the_table_after_a_blank_row() -> None:
    assert lines("Item|Qty|Price", "Valve|3|5", "", "Pump|1|9", "Total||14", of_records=True)[2:] == [
        "Item: Pump | Qty: 1 | Price: 9",
        "Item: Total | Price: 14",
    ]
    assert lines("Item|Qty|Price", "Valve|3|5", "", "see|the|notes")[2:] == ["see | the | notes"]
    records = lines("Name|Town", "Ann|Rome", "", "Bob|Oslo", "Cid|Bonn", "", "End", of_records=True)
    assert records[2:] == ["Name: Bob | Town: Oslo", "Name: Cid | Town: Bonn", "End"]


def test_every_second_row_may_be_blank() -> None:
    assert lines("Name|Days", "", "Holm|27", "", "Reyes|", of_records=True) == [
        "Name | Days",
        "Name: Holm | Days: 27",
        "Name: Reyes",
    ]


def test_two_tables_of_text_with_as_many_columns_are_not_told_apart() -> None:
    rows = ["Name|Team|Town", "Ann|HR|Rome", "", "Product|Color|Form", "Valve|red|round"]
    assert lines(*rows)[2:] == ["Product | Color | Form", "Valve | red | round"]


def test_notes_and_repeated_headers_have_no_labels() -> None:
    rows = ["Region|Who|Sales", "Europe", "North|Ann|120", "Region|Who|Sales", "Source: the office", "||80", "A|B|3|4"]
    assert lines(*rows)[1:] == [
        "Europe",
        "Region: North | Who: Ann | Sales: 120",
        "Region | Who | Sales",
        "Source: the office",
        "Sales: 80",
        "Region: A | Who: B | Sales: 3 | 4",
    ]


def test_labels_hold_beyond_the_rows_looked_at() -> None:
    found = list(lay_out(_numbered(["A|B", *["x|1"] * 1000])))
    assert len(found) == 1001
    assert {line.text for line in found[1:]} == {"A: x | B: 1"}


def test_rows_without_a_sure_header_are_marked() -> None:
    def marks(*rows: str) -> list[bool]:
        return [line.lacks_labels for line in lay_out(_numbered(rows))]

    assert marks("1|2|3", "4|5|6", "Note") == [True, True, False]
    assert marks("A|B|C", "x|y|1", "", "x|y|2") == [False, False, True]
    assert marks("ID|Name", "1|Ann", "2|Bob") == [False, True, True]
    assert marks("Opening|100", "Closing|200") == [False] * 2
    assert marks("Title", "", "To|ACME") == [False] * 2


def test_a_row_that_is_known_to_be_the_header_names_the_columns() -> None:
    layout = TableLayout()
    rows = [["Staff", ""], ["Name", "Dept"], ["Ann", "A"], ["Bob", "B"]]
    found = [line for at, row in enumerate(rows, 1) for line in layout.row(at, row, is_header=at == 2)]
    assert [line.text for line in [*found, *layout.end()]] == [
        "Staff",
        "Name | Dept",
        "Name: Ann | Dept: A",
        "Name: Bob | Dept: B",
    ]


def test_few_rows_are_held_back() -> None:
    layout = TableLayout()
    held = 0
    for number in range(1, 1000):
        held += 1 - len(layout.row(number, ["x", "y", "z"]))
        assert held <= 20


@given(
    st.lists(st.lists(st.sampled_from(["", "a", "b c", "5", "2021", "Name:", "2024-05-01"]), max_size=4)), st.booleans()
)
def test_no_cell_is_lost(rows: list[list[str]], of_records: bool) -> None:
    found = list(lay_out(enumerate(rows, start=1), of_records=of_records))
    filled = [(number, row) for number, row in enumerate(rows, start=1) if any(row)]
    assert [line.number for line in found] == [number for number, _ in filled]
    for line, (_, row) in zip(found, filled, strict=True):
        assert all(cell in line.text for cell in row)
