"""Compressed RTF, with the examples of its specification (MS-OXRTFCP)."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.rtf_compression import decompress

SIMPLE = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
CROSSING = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")


def test_the_examples_of_the_specification() -> None:
    assert decompress(SIMPLE) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert decompress(CROSSING) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


def test_plain_and_cut_streams() -> None:
    assert decompress(b"\x00" * 4 + b"\x03\0\0\0MELA\0\0\0\0abcdef") == b"abc"
    assert decompress(SIMPLE[:-8]).endswith(b"hello w")
    for data in (b"", b"\0" * 16):
        with pytest.raises(CorruptFileError):
            decompress(data)
