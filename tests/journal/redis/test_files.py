"""Rows of files in Redis. Listing them is tested with a real Redis in ``test_journal.py``."""

from __future__ import annotations

import pytest

from rag_pipeline.journal.files import pack
from rag_pipeline.journal.redis.files import StoredFile, read_row
from rag_pipeline.journal.redis.keys import position_of
from rag_pipeline.status.model import FileRecord

RECORD = FileRecord("two words.pdf", "id 1")


def test_a_row_is_read_as_it_was_written() -> None:
    row = read_row(f"completed 1700-2 1699-0 12.5 {pack(RECORD)}")
    assert row == StoredFile("completed", position_of("1700-2"), position_of("1699-0"), 12.5, RECORD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "completed",
        "completed 1-1 1-1 1.0",
        f"completed x-1 1-1 1.0 {pack(RECORD)}",
        f"completed 1-1 1-1 y {pack(RECORD)}",
        "completed 1-1 1-1 1.0 {",
        "completed 1-1 1-1 1.0 []",
        "completed 1-1 1-1 1.0 {}",
    ],
)
def test_a_row_of_another_program_is_none(text: str) -> None:
    assert read_row(text) is None
