"""Number formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.numbers import NumberFormat, classify, format_number


@pytest.mark.parametrize(
    ("identifier", "code", "expected"),
    [
        ("0", "", NumberFormat.PLAIN),
        ("14", "", NumberFormat.DATE),
        ("20", "", NumberFormat.TIME),
        ("164", "yyyy-mm-dd", NumberFormat.DATE),
        ("164", "[h]:mm", NumberFormat.TIME),
        ("164", "0.00%", NumberFormat.PERCENT),
        ("164", '#,##0 "days"', NumberFormat.PLAIN),
        ("164", "[Red]0.00", NumberFormat.PLAIN),
        ("164", "\\d0", NumberFormat.PLAIN),
    ],
)
def test_number_formats_are_classified(identifier: str, code: str, expected: NumberFormat) -> None:
    assert classify(identifier, code) is expected


@pytest.mark.parametrize(
    ("text", "number_format", "expected"),
    [
        ("1", NumberFormat.DATE, "1900-01-01"),
        ("61", NumberFormat.DATE, "1900-03-01"),
        ("2958465", NumberFormat.DATE, "9999-12-31"),
        ("1e300", NumberFormat.DATE, "1e+300"),
        ("1.5", NumberFormat.TIME, "36:00"),
        ("0.1", NumberFormat.PERCENT, "10%"),
        ("0.30000000000000004", NumberFormat.PLAIN, "0.3"),
        ("words", NumberFormat.DATE, "words"),
    ],
)
def test_numbers_are_formatted(text: str, number_format: NumberFormat, expected: str) -> None:
    assert format_number(text, number_format, False) == expected


@given(st.floats(), st.sampled_from(NumberFormat), st.booleans())
def test_any_number_can_be_formatted(number: float, number_format: NumberFormat, from_1904: bool) -> None:
    assert format_number(repr(number), number_format, from_1904)
