"""UTF-8 with surrogates."""

from __future__ import annotations

import codecs

import pytest

from rag_pipeline.ingest.extract.cesu8 import CESU_8

PAIR = "😀".encode("utf-16-be").hex()
EMOJI = b"".join(chr(int(PAIR[at : at + 4], 16)).encode("utf-8", "surrogatepass") for at in (0, 4))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a " + EMOJI + " Größe 😀".encode(), "a 😀 Größe 😀"),
        (EMOJI[:3] + b"x" + EMOJI[3:], "\ufffdx\ufffd"),
        (EMOJI[:3], "\ufffd"),
        (EMOJI[:2], "\ufffd\ufffd"),
        (b"\xff\xed\xa0" + EMOJI, "\ufffd\ufffd\ufffd😀"),
    ],
)
def test_pairs_become_characters_and_halves_are_replaced(data: bytes, text: str) -> None:
    assert data.decode(CESU_8) == text
    decoder = codecs.getincrementaldecoder(CESU_8)("replace")
    assert "".join(decoder.decode(data[at : at + 1]) for at in range(len(data))) + decoder.decode(b"", True) == text
