"""Letters are told from glyph numbers, and pypdf is asked about a bad page."""

from __future__ import annotations

import io

import pytest

from rag_pipeline.ingest.extract.readers.pdf.legibility import SecondOpinion, looks_like_text, tex_letters
from tests.ingest.extract.makers import make_pdf


@pytest.mark.parametrize(
    "text",
    [
        "Checkliste Service",
        "Výbava na přání",
        "Booked and interest, 01/14/2016 Transfer 1,406,164.00",
        "Faktura nr FV 1/2021 Data sprzedaży: 2021-04-26",
        "全世界无产者，联合起来",
        "à À â Â ä Ä é É è È ê Ê î Î ï Ï ô Ô ù Ù û Û ü Ü ç Ç",
        "3rd GmbH with 12kg, as McDonald says",
    ],
)
def test_text(text: str) -> None:
    assert looks_like_text(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "6XPPD", "9ROXPHV\x03", "\x01\x02\x03\x04", "¨\xa0YB¾\x9fÕ²", "?@''\x03\x14", "/g18/g152/g135",
     "ϸЇΰÎߙΨ́ϣķ", "/C71/C97/C114", "᧒ᥱᦎᦫ", "Vdph zrugv rxw ri wkh"],
)  # fmt: skip
def test_glyph_numbers(text: str) -> None:
    assert not looks_like_text(text)


def test_codes_of_tex() -> None:
    assert tex_letters("\x1cve o\x1eces \x10a\x11") == "\ufb01ve o\ufb03ces “a”"
    assert tex_letters("\x0cve o\x0eces \x5ca\x22") == "\ufb01ve o\ufb03ces “a”"


def test_a_page_is_read_by_the_other_library() -> None:
    data = make_pdf(2)
    opinion = SecondOpinion(io.BytesIO(data), len(data), 1 << 20)
    assert opinion.page_text(1).startswith("Line 0 of page 2, with words in it")


def test_after_useless_answers_no_more_pages_are_asked_for() -> None:
    data = make_pdf(5, content=b"BT /F1 12 Tf 72 700 Td (6XPPD) Tj ET")
    stream = io.BytesIO(data)
    opinion = SecondOpinion(stream, len(data), 1 << 20)
    assert [opinion.page_text(index) for index in (0, 1, 99)] == ["", "", ""]
    stream.close()
    assert opinion.page_text(0) == ""


def test_a_large_file_is_not_read_into_memory() -> None:
    assert SecondOpinion(io.BytesIO(), 1 << 30, 1 << 20).page_text(0) == ""
