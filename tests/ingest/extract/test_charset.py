"""Detection of encodings: byte order marks, valid UTF-8, declared encodings, guesses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.charset import decode_text, find_encoding, looks_like_text, open_text
from rag_pipeline.ingest.extract.messages import Warned, WorkerMessage
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from tests.ingest.extract.makers import input_file

GERMAN = "Die Straße nach Köln führt über Brücken; die Gebühr beträgt 5 Mark.\n"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний.\n"
JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。\n"
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "latin-1"),
        ("Preis: 5 €\n", "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "utf-16"),
    ],
)
def test_the_encoding_is_detected(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert looks_like_text(data)
    assert open_text(input_file(data)).read() == text


def test_a_non_ascii_byte_late_in_the_file_counts() -> None:
    data = b"plain\n" * 300_000 + "Köln".encode("latin-1")
    assert open_text(input_file(data)).read().endswith("Köln")


def test_valid_utf8_wins_over_a_declared_encoding() -> None:
    assert find_encoding(input_file("é".encode()), declared="latin-1") == "utf-8"
    assert find_encoding(input_file(b"\xe9"), declared="cp1250") == "cp1250"
    for odd in ("no such", "rot13", "hex", "utf-16", "x\x00"):
        assert find_encoding(input_file(b"\xe9"), declared=odd) == "cp1252"


def test_a_few_bad_bytes_leave_it_utf8() -> None:
    data = b"Gr\xc3\xb6\xc3\x9fe \xff \xe2\x80\x93 sch\xc3\xb6n"
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1000)
    assert open_text(input_file(data), writer, declared="latin-1").read() == "Größe \ufffd – schön"
    assert sent == [Warned("undecodable_bytes", "bytes that are not valid UTF-8 were replaced", 1)]
    genuine = input_file("\ufffd\ufffd\ufffd".encode())
    assert open_text(genuine, writer).read() == "\ufffd\ufffd\ufffd"
    assert len(sent) == 1


def test_escapes_of_iso_2022_come_before_ascii() -> None:
    data = "東京の天気は晴れです。".encode("iso2022_jp")
    assert looks_like_text(data)
    assert open_text(input_file(data)).read() == "東京の天気は晴れです。"
    korean = "한국어 문서입니다. 환불에는 열흘이 걸립니다.\n".encode("iso2022_kr")
    assert looks_like_text(korean)
    assert open_text(input_file(korean)).read() == "한국어 문서입니다. 환불에는 열흘이 걸립니다.\n"


def test_surrogates_in_utf8_are_no_reason_for_another_charset() -> None:
    data = b"Smile \xed\xa0\xbd\xed\xb8\x80 Gr\xc3\xb6\xc3\x9fe"
    assert open_text(input_file(data)).read() == decode_text(data) == "Smile 😀 Größe"


@pytest.mark.parametrize(
    "nuls", ["text\n" * 99 + "\x00\x00after", "a,b\n1,2\n" + "\x00" * 99, "x " * 99 + "\x00" * 999 + "y"]
)
def test_a_few_nul_bytes_are_left_out_with_a_warning(nuls: str) -> None:
    data = nuls.encode()
    assert looks_like_text(data)
    sent: list[WorkerMessage] = []
    writer = SectionWriter(sent.append, text_bytes=1000)
    assert open_text(input_file(data), writer).read() == nuls.replace("\x00", "")
    assert sent == [Warned("nul_bytes", "NUL bytes were left out", nuls.count("\x00"))]


def test_bytes_in_memory_are_decoded_alike() -> None:
    assert decode_text("“5 €”".encode("cp1252"), "iso-8859-1") == "“5 €”"
    assert decode_text("Köln".encode(), "iso-8859-1") == "Köln"
    assert decode_text("Возврат денег".encode("koi8-r")) == "Возврат денег"


def test_parts_of_a_large_file_are_looked_at() -> None:
    data = b"plain line of ASCII\n" * 100_000 + "Возврат денег занимает десять дней.\n".encode("cp1251") * 50
    assert find_encoding(input_file(data)) == "cp1251"
    long_line = b"x" * 300_000 + "Возврат денег занимает десять дней. ".encode("cp1251") * 2000
    assert find_encoding(input_file(long_line)) == "cp1251"


def test_japanese_without_additions_has_the_standard_wave_dash() -> None:
    text = "十日〜二十日かかります。"
    assert open_text(input_file(text.encode("shift_jis"))).read() == text
    assert find_encoding(input_file(text.encode("shift_jis") + "①".encode("cp932"))) == "cp932"


def test_a_file_that_ends_inside_a_character_is_not_utf8() -> None:
    assert find_encoding(input_file("aé".encode()[:-1])) == "cp1252"


@given(st.binary(max_size=300))
def test_any_bytes_can_be_decoded(data: bytes) -> None:
    open_text(input_file(data)).read()


@pytest.mark.parametrize(
    "data",
    [bytes(100), b"\x01\x02\x03" * 30, b"text\x00more text than zeros", (b"MAGIC" + bytes(1 << 16))[: 1 << 16]],
    ids=["zeros", "control", "a zero", "header"],
)
def test_binary_data_does_not_look_like_text(data: bytes) -> None:
    assert not looks_like_text(data)
