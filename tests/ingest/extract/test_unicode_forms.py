"""UTF-16, UTF-32 and ISO-2022 are recognised by their bytes."""

from __future__ import annotations

import struct

import pytest

from rag_pipeline.ingest.extract.unicode_forms import escape_codec, unicode_codec

TEXTS = (
    "Die Gebühr beträgt neunzig Euro.\r\n",
    "Возврат денег занимает десять дней.\n",
    "返金には十日かかります。東京の天気は晴れです。\n2024年\n",
    "Date,Bid\n07/19/2015,10.5\n",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_forms_without_byte_order_mark(text: str, codec: str) -> None:
    assert unicode_codec(text.encode(codec)) == codec


@pytest.mark.parametrize(
    "text", ["返金には十日かかります。東京の天気は晴れです。", "我们明天去北京参加会议，请大家准时到达。"]
)
def test_east_asian_text_without_spaces_and_line_ends(text: str) -> None:
    assert unicode_codec(text.encode("utf-16-le")) == "utf-16-le"
    assert unicode_codec(text.encode("utf-16-be")) == "utf-16-be"
    for codec in ("utf-8", "gb18030", "shift_jis_2004", "euc_jis_2004", "big5hkscs"):
        assert unicode_codec(text.encode(codec, "ignore")) is None


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(codec: str) -> None:
    assert unicode_codec("a".encode(codec)) == codec
    assert unicode_codec("a".encode(codec) + b"\xff\xff\xff") == codec


@pytest.mark.parametrize(
    "data",
    [
        b"", b"plain text", bytes(100), struct.pack("<64H", *range(64)), struct.pack("<64I", *range(64)),
        b"text\x00more text than zeros", struct.pack("<40d", *(number / 7 for number in range(40))),
    ],
)  # fmt: skip
def test_binary_data_is_not_unicode(data: bytes) -> None:
    assert unicode_codec(data) is None


def test_escape_sequences_of_iso_2022() -> None:
    assert escape_codec("東京の天気".encode("iso2022_jp")) == "iso2022_jp_ext"
    assert escape_codec("한국어".encode("iso2022_kr")) == "iso2022_kr"
    assert escape_codec(b"\x1b[1mbold\x1b[0m") is None
    assert escape_codec(b"\x1b$B\x80") is None
    assert escape_codec("東京\x1b$B".encode()) is None


def test_hz_is_recognised() -> None:
    assert escape_codec("东京的天气 is fine".encode("hz")) == "hz"
    assert escape_codec(b"x~{\\em a}~} ~, ~b") is None
    assert escape_codec(b"~/a ~{b}") is None
