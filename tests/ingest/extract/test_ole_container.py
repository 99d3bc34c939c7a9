"""OLE containers, whole and damaged."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.ole_container import OleContainer
from tests.ingest.extract.makers import input_file, make_ole_file

DATA = make_ole_file({"Workbook": b"words", "Other": b"x" * 9000})


def test_streams_are_found_in_any_case() -> None:
    container = OleContainer(input_file(DATA))
    assert container.has("missing", "WORKBOOK")
    assert not container.has("missing")
    assert container.read("workbook").startswith(b"words\0")
    assert container.properties() == {}


def test_a_missing_stream_is_damage() -> None:
    with pytest.raises(CorruptFileError, match="its stream Data is missing"):
        OleContainer(input_file(DATA)).read("Data")


@settings(max_examples=60)
@given(st.integers(0, 1600), st.binary(min_size=1, max_size=8))
def test_damage_ends_in_damage(place: int, junk: bytes) -> None:
    data = bytearray(DATA)
    data[place : place + len(junk)] = junk
    with suppress(CorruptFileError):  # any other exception is a fault
        container = OleContainer(input_file(bytes(data)))
        container.properties()
        container.read("Other")
