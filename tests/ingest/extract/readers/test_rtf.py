"""RTF documents."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import CorruptFileError
from tests.ingest.extract.makers import read


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb"a\b b\b0  c\par d", "ab c\nd"),
        (rb"\'e9\'80", "é€"),
        (rb"\ansicpg1251 \'cf\'f0\'e8", "При"),
        (rb"\u8364 ?x\uc0\u233 y\uc2\u233 zzw", "€xéyéw"),
        (rb"\u-10179?\u-8704?", "😀"),
        (rb"{\fonttbl Times;}{\*\unknown gone}{\header top}kept", "kept"),
        (rb"{\pict\bin4 }}}}}after", "after"),
        (rb"\{\}\\\~\emdash x", "{}\\\xa0—x"),
        (b"one\r\n two", "one two"),
    ],
)
def test_text_is_read(body: bytes, text: str) -> None:
    ((_, content),) = read(rb"{\rtf1\ansi " + body + b"}")
    assert content == text


@pytest.mark.parametrize("data", [rb"{\rtf1 words", rb"{\rtf1 words}}", rb"{\rtf1 {{{"])
def test_an_unclosed_group_is_damage(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match="group"):
        read(data)
