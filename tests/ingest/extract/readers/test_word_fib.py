"""The structures of Word documents before 2007."""

from __future__ import annotations

import struct

import pytest

from rag_pipeline.errors import CorruptFileError, EncryptedFileError
from rag_pipeline.ingest.extract.readers.word_fib import Paragraph, Piece, WordFile


def document(text: bytes, *, version: int = 193, flags: int = 0, pieces: bytes | None = None) -> WordFile:
    header = bytearray(0x400)
    struct.pack_into("<HH", header, 0, 0xA5EC, version)
    struct.pack_into("<H", header, 10, flags)
    struct.pack_into("<II", header, 0x18, len(header), len(header) + len(text))
    struct.pack_into("<I", header, 0x4C, len(text))
    struct.pack_into("<I", header, 0x50, 3)
    if pieces is None:
        content = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, 0x40000000 | len(header) * 2, 0)
        pieces = b"\x01\x02\x00xx" + b"\x02" + struct.pack("<I", len(content)) + content
    struct.pack_into("<II", header, 0x1A2, 0, len(pieces))
    return WordFile(bytes(header) + text, {0: pieces})


def test_pieces_give_the_text() -> None:
    found = document(b"caf\xe9")
    assert found.text(0, 4) == [("café", 0x400, 1)]
    assert found.text(1, 3) == [("af", 0x401, 1)]
    assert (found.part("body"), found.part("footnote"), found.part("box")) == ((0, 4), (4, 7), (7, 7))


def test_documents_before_97_have_one_piece() -> None:
    found = document(b"old", version=104)
    assert found.is_old
    assert found.pieces == [Piece(0, 3, 0x400, False)]
    assert found.part("footnote") == (3, 3)


def test_without_properties_nothing_is_hidden() -> None:
    found = document(b"text")
    assert found.is_left_out(0x400)[:2] == (False, False)
    assert found.paragraph(0x400) == Paragraph(-1)
    assert found.positions(0xAA, 2) == []


@pytest.mark.parametrize("pieces", [b"", b"\x02", b"\x03xxxxxxxx", b"\x02\x04\x00\x00\x00abcd"])
def test_a_damaged_table_is_named(pieces: bytes) -> None:
    with pytest.raises(CorruptFileError, match="table of its text"):
        document(b"text", pieces=pieces)


def test_other_faults_are_named() -> None:
    with pytest.raises(EncryptedFileError):
        document(b"text", flags=0x100)
    with pytest.raises(CorruptFileError, match="too short"):
        WordFile(b"\xec\xa5", {})


def test_the_charset_of_old_documents_is_found() -> None:
    text = "Возврат денег занимает десять дней. Заказ придёт позже."
    found = document(text.encode("cp1251"), version=104)
    assert found.text(0, len(text))[0][0] == text
