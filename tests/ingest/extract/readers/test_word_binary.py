"""Word documents of the format before 2007, written by LibreOffice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import ExtractionError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_metadata, read_text, warnings

RULES = (Path(__file__).parent / "files" / "words.doc").read_bytes()


def test_headings_tables_and_notes_are_read() -> None:
    assert read(RULES) == [
        (
            "Berths",
            "Berths\nShips pay forty euros a day.\nFootnote: Since March, for “Łódź”.\nComment: Ask the board.\n"
            "Pier | Depth\nNorth | 8 m at low tide",
        ),
        ("Berths › Waste", "Waste\nOil goes to the tank."),
    ]
    assert warnings(RULES) == ["hidden words are left out"]
    assert read_metadata(RULES) == {"title": "Harbour rules"}


def test_options_bring_in_hidden_text_and_leave_out_comments() -> None:
    text = read_text(RULES, options=ReadOptions(hidden=True, comments=False))
    assert "Ships pay [deleted: thirty]forty euros a day[hidden:  secretly less]." in text
    assert "Ask the board" not in text


@settings(max_examples=100, deadline=None)
@given(st.integers(512, len(RULES) - 8), st.binary(min_size=1, max_size=8))
def test_damage_is_named(place: int, junk: bytes) -> None:
    data = bytearray(RULES)
    data[place : place + len(junk)] = junk
    try:
        read(bytes(data), "a.doc")
    except ExtractionError as error:
        assert str(error)


@pytest.mark.parametrize("cut", [100, 700, 3000, 9000])
def test_a_truncated_file_is_damaged_or_short(cut: int) -> None:
    try:
        read(RULES[:cut], "a.doc")
    except ExtractionError as error:
        assert "damaged" in str(error) or "its " in str(error)
