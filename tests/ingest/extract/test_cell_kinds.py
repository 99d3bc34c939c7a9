"""Kinds of table cells."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.cell_kinds import CellKind, cell_kind


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (CellKind.EMPTY, ["", "-", "n/a", "NaN", "..."]),
        (CellKind.NUMBER, ["0", "-5", "−5", "1,234.50", "1.234,50", "1 234", "(120)", "12.5%", "$ 3", "4 €", "EUR 5"]),
        (CellKind.NUMBER, ["1e-5", ".5", "3 kg", "12 m²", "TRUE", "5 USD"]),
        (
            CellKind.DATE,
            ["2024-05-01", "01.05.2024", "5/1/24", "09:30", "2024-05-01 12:30:45", "12 May 2024", "May 2024"],
        ),
        (CellKind.SPAN, ["2021", "1999", "2021/22", "0-14", "65+", "Q1", "Q3 2024", "2024-Q1", "<5"]),
        (CellKind.TEXT, ["Region", "A-12", "2nd quarter", "0800 call us now", "x" * 50, "5" * 50, "q1", "5 apples"]),
    ],
)
def test_the_kind_of_a_cell(kind: CellKind, cells: list[str]) -> None:
    assert {cell: cell_kind(cell) for cell in cells} == dict.fromkeys(cells, kind)


def test_values_are_numbers_dates_and_ranges() -> None:
    assert [kind.name for kind in CellKind if kind.is_value] == ["NUMBER", "DATE", "SPAN"]
