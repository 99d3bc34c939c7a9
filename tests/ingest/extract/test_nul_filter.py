"""NUL bytes are taken out of a stream."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import pytest

from rag_pipeline.ingest.extract.nul_filter import NulFilter


def test_nul_bytes_are_left_out() -> None:
    stream = NulFilter(io.BytesIO(b"a\x00b" + bytes(20_000) + b"c\n" + bytes(9)))
    text = io.TextIOWrapper(cast(BinaryIO, stream), "utf-8")
    assert text.read() == "abc\n"
    text.seek(0)
    assert text.read(2) == "ab"
    assert stream.tell() > 0


def test_it_seeks_only_to_its_start() -> None:
    with pytest.raises(io.UnsupportedOperation):
        NulFilter(io.BytesIO(b"abc")).seek(1)


def test_it_closes_the_other_stream() -> None:
    other = io.BytesIO(b"")
    NulFilter(other).close()
    assert other.closed
