"""Declared charsets mean what browsers take them for."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.charset_labels import codec_for_label


@pytest.mark.parametrize(
    ("label", "text", "data"),
    [
        ("iso-8859-1", "“5 €”", "cp1252"),
        ("US-ASCII", "–", "cp1252"),
        ("ISO-8859-9", "ş€", "cp1254"),
        ("gb2312", "镕€", "gb18030"),
        ("Shift_JIS", "①㈱髙", "cp932"),
        ("windows-31j", "①", "cp932"),
        ("ks_c_5601-1987", "똠", "cp949"),
        ("tis-620", "ก", "cp874"),
        ("x-sjis", "髙", "cp932"),
        ("iso-2022-jp", "ｱ", "iso2022_jp_ext"),
        ("iso-2022-kr", "한", "iso2022_kr"),
        ("macintosh", "ü", "mac-roman"),
        ("cp850", "ü", "cp850"),
        (' "windows-1250" ', "ł", "cp1250"),
    ],
)
def test_a_label_means_the_superset(label: str, text: str, data: str) -> None:
    codec = codec_for_label(label)
    assert codec is not None
    assert text.encode(data).decode(codec) == text


@pytest.mark.parametrize(
    "label", ["", "no such", "utf-16", "utf-7", "rot13", "hex", "idna", "x-user-defined", "a\x00", "cp500"]
)
def test_other_labels_are_ignored(label: str) -> None:
    assert codec_for_label(label) is None
