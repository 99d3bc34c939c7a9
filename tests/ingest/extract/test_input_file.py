"""The input file of a reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.extract.makers import input_file


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.txt", "txt"),
        ("REPORT.DOCX", "docx"),
        ("backup.tar.gz", "gz"),
        ("README", ""),
        (".bashrc", ""),
        (".config.json", "json"),
        ("ends with a dot.", ""),
        ("..", ""),
        ("", ""),
        ("caf\udce9.pdf", "pdf"),
        ("a.straße", "straße"),
    ],
)
def test_the_extension_is_what_follows_the_last_dot(name: str, extension: str) -> None:
    assert input_file(b"", name).extension == extension


@given(st.binary(max_size=50), st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 60)), max_size=5))
def test_bytes_are_read_at_any_offset_in_any_order(data: bytes, reads: list[tuple[int, int]]) -> None:
    """A negative offset means 0, so the tail of a short file is the whole file."""
    file = input_file(data)
    for offset, count in reads:
        assert file.read_at(offset, count) == data[max(0, offset) :][:count]


def test_a_new_file_is_not_opened_as_text() -> None:
    assert input_file(b"abc").text is None
