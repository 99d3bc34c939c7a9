"""Numbers of lists."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.readers.list_numbers import write_number


@pytest.mark.parametrize(
    ("number", "number_format", "shown"),
    [
        (12, "decimal", "12"),
        (3, "decimalZero", "03"),
        (1, "lowerLetter", "a"),
        (27, "upperLetter", "AA"),
        (53, "a", "aaa"),
        (1994, "upperRoman", "MCMXCIV"),
        (4, "i", "iv"),
        (9999, "lowerRoman", "9999"),
        (1, "ordinal", "1st"),
        (12, "ordinal", "12th"),
        (22, "ordinal", "22nd"),
        (2, "russianLower", "б"),
        (21, "chineseCounting", "二十一"),
        (10, "japaneseCounting", "十"),
        (205, "ideographDigital", "二〇五"),
        (3, "decimalEnclosedCircle", "③"),
        (5, "none", ""),
        (5, "unknown", "5"),
        (0, "lowerRoman", "0"),
        (-1, "", ""),
    ],
)
def test_a_number_is_written_in_its_format(number: int, number_format: str, shown: str) -> None:
    assert write_number(number, number_format) == shown
