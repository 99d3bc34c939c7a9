"""Fonts of RTF documents."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.readers.rtf_fonts import Font


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        (204, b"\xcc\xee\xf1\xea\xe2\xe0", "Москва"),
        (238, b"\xa3\xf3d\x9f", "Łódź"),
        (161, b"\xc1\xe8\xde\xed\xe1", "Αθήνα"),
        (128, b"\x93\x8c\x8b\x9e", "東京"),
        (134, b"\xb1\xb1\xbe\xa9", "北京"),
        (2, b"a\xb7", "α•"),
        (0, b"\xe9", "é"),
    ],
)
def test_a_charset_decides_the_text(charset: int, data: bytes, text: str) -> None:
    font = Font()
    font.set_charset(charset)
    assert font.decode(data, "cp1252") == text


def test_a_name_may_tell_the_script() -> None:
    font = Font()
    font.set_name("Arial Cyr;")
    assert (font.name, font.codec) == ("Arial Cyr", "cp1251")
    symbols = Font()
    symbols.set_name("Wingdings")
    assert symbols.translate("\uf0fc x") == "✓ x"
    assert Font().translate("\uf0fc") == "\uf0fc"
