"""Word documents of the format before 2007, written by LibreOffice."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError, ExtractionError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_metadata, read_text, warnings

RULES = (Path(__file__).parent / "files" / "words.doc").read_bytes()


def test_headings_tables_and_notes_are_read() -> None:
    assert read(RULES) == [
        (
            "Berths",
            "\n".join(
                (
                    "Berths",
                    "Ships pay forty euros a day.",
                    "Footnote: Since March, for “Łódź”.",
                    "Comment: Ask the board.",
                    "Pier | Depth",
                    "North | 8 m at low tide",
                )
            ),
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
def test_damage_ends_in_an_error_of_extraction_at_most(place: int, junk: bytes) -> None:
    data = bytearray(RULES)
    data[place : place + len(junk)] = junk
    with suppress(ExtractionError):  # any other exception is a fault of the reader
        read(bytes(data), "a.doc")


@pytest.mark.parametrize("cut", [100, 700, 3000, 9000])
def test_a_truncated_file_is_damaged(cut: int) -> None:
    with pytest.raises(CorruptFileError, match=r"damaged|its stream"):
        read(RULES[:cut], "a.doc")
