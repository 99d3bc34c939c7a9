"""Numbers as a person sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.number_format import built_in_format, parse_format
from rag_pipeline.ingest.extract.readers.numbers import show_number, show_text

MAY = 45413  # 1 May 2024


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (0.30000000000000004, "General", "0.3"),
        (1e25, "General", "1E+25"),
        (123456789012345, "General", "123456789012345"),
        (0.00001, "General", "0.00001"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (-1234.5, "#,##0.00_);(#,##0.00)", "(1,234.50)"),
        (-1234.5, "#,##0.00\\ [$€-407]", "-1,234.50 €"),
        (198, '_ "$"* #,##0.0_ ', "$198.0"),
        (0, '_(* #,##0.00_);_(* \\(#,##0.00\\);_(* "-"??_);_(@_)', "-"),
        (1234, "00000", "01234"),
        (123456789, "000-00-0000", "123-45-6789"),
        (5551234567, "(###) ###-####", "(555) 123-4567"),
        (0.125, "0.00%", "12.50%"),
        (2.5, "0", "3"),
        (-0.001, "0.00", "0.00"),
        (1234567, '#,##0,"k"', "1,235k"),
        (1021.02, '0.000,"K"', "1.021K"),
        (1.75, "# ?/?", "1 3/4"),
        (0.25, "# ??/??", "1/4"),
        (1.75, "#/8", "14/8"),
        (3, "# ?/?", "3"),
        (3, '0"/"', "3/"),
        (3, '0"%"', "3%"),
        (1.5, "# ?/0000000001", "1 1/2"),
        (0.999, "# ?/?", "1"),
        (12345, "0.00E+00", "1.23E+04"),
        (0.00012, "##0.0E+0", "120.0E-6"),
        (12, '0" km"', "12 km"),
        (0, '0;-0;"none"', "none"),
        (1500, "[>=1000]0.0,\\k;0", "1.5k"),
        (7, ";;;", ""),
        (MAY, "dd.mm.yyyy", "01.05.2024"),
        (MAY, "mmmm", "May"),
        (MAY, "d-mmm-yy", "1-May-24"),
        (MAY, "dddd, d mmmm yyyy", "Wednesday, 1 May 2024"),
        (MAY + 0.52135416667, "yyyy-mm-dd hh:mm:ss", "2024-05-01 12:30:45"),
        (MAY + 0.75, "h:mm AM/PM", "6:00 PM"),
        (45 / 86400, "hh:mm:ss", "00:00:45"),
        (90 / 86400, "mm:ss", "01:30"),
        (1.5, "[h]:mm", "36:00"),
        (90.5 / 86400, "mm:ss.0", "01:30.5"),
        (1, "yyyy-mm-dd", "1900-01-01"),
        (61, "yyyy-mm-dd", "1900-03-01"),
        (2958465, "yyyy-mm-dd", "9999-12-31"),
        (-1, "yyyy-mm-dd", "-1"),
    ],
)
def test_a_number_is_shown_in_its_format(number: float, code: str, shown: str) -> None:
    assert show_number(repr(number), parse_format(code)) == shown


def test_years_may_count_from_1904() -> None:
    assert show_number("0", built_in_format(14), from_1904=True) == "1904-01-01"


def test_words_stay_words() -> None:
    assert show_number("words", built_in_format(14)) == "words"
    assert show_text("Ann", parse_format('0;0;0;"Mrs. "@')) == "Mrs. Ann"
    assert show_text("Ann", parse_format("@")) == "Ann"
    assert show_text("Ann", parse_format("0.00")) == "Ann"


@given(st.floats(), st.text(st.sampled_from('0#?.,%;@"\\[]hmsydeE+-_*/ ap'), max_size=20), st.booleans())
def test_any_number_can_be_shown(number: float, code: str, from_1904: bool) -> None:
    show_number(repr(number), parse_format(code), from_1904)
