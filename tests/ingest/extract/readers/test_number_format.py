"""The parts of number formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.number_format import built_in_format, parse_format


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("General", False),
        ("yyyy-mm-dd", True),
        ("[h]:mm", True),
        ('#,##0 "days"', False),
        ("[Red]0.00", False),
        ("\\d0", False),
        ("0.00E+00", False),
        ("mmmm", True),
        ("_-* #,##0.00\\ _€_-", False),
    ],
)
def test_dates_are_told_from_numbers(code: str, is_date: bool) -> None:
    assert parse_format(code).is_date is is_date


def test_minutes_stand_beside_hours_or_seconds() -> None:
    def parts(code: str) -> str:
        return "".join(token.text for token in parse_format(code).sections[0].tokens if token.kind == "date")

    assert parts("mm/dd hh:mm") == "mmddhhMM"
    assert parts("mm:ss") == "MMss"
    assert parts("mm-yy") == "mmyy"


def test_sections_and_conditions() -> None:
    assert len(parse_format('0;-0;"zero";@').sections) == 4
    assert parse_format("[>=1000]0.0;0").sections[0].condition == (">=", 1000.0)
    assert parse_format("[$€-407] 0").sections[0].tokens[0].text == "€"


def test_formats_by_number() -> None:
    assert built_in_format(14).is_date
    assert not built_in_format(9).is_date
    assert built_in_format(9999) == built_in_format(0)


@given(st.text(st.sampled_from('0#?.,%;@"\\[]hmsydeE+-_*/ ap')))
def test_any_code_can_be_parsed(code: str) -> None:
    assert parse_format(code).sections
