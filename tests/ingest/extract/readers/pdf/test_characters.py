"""The characters of a page: their boxes, and what is not text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.characters import LINE_END_HYPHEN, NO_SPACE, Characters, readable
from rag_pipeline.ingest.extract.readers.pdf.pdfium import PdfDocument
from tests.ingest.extract.readers.pdf.makers import placed, unmapped


@contextmanager
def characters(data: bytes) -> Iterator[Characters]:
    """Open the first page."""
    document = PdfDocument(io.BytesIO(data), len(data))
    with document.page(0) as page:
        text_page = pdfium.FPDFText_LoadPage(page)
        yield Characters(text_page)
        pdfium.FPDFText_ClosePage(text_page)
    document.close()


def test_each_character_has_a_box_and_a_size() -> None:
    with characters(placed([(72, 700, "AB")], size=20)) as found:
        assert found.text == "AB"
        left, bottom, right, top = found.box(1)
        assert found.box(0)[2] <= left < right < 110
        assert bottom < 700 < top
        assert (found.size(0), found.quarter(0)) == (20, 0)
        assert found.box(99) == (0, 0, 0, 0)


def test_indexes_are_those_of_the_boxes_with_pairs_of_surrogates() -> None:
    with characters(unmapped(b"<0041><D835DC00>", b"AA")) as found:
        assert len(found.text) == found.count
        assert readable(found.text[:2]) == "\U0001d400"


def test_glyph_numbers_are_marked() -> None:
    with characters(unmapped(b"", b"\x01\x02\x03")) as found:
        assert (found.text.count("\ufffd"), found.undecoded) == (3, 3)


def test_signs_are_removed_from_words() -> None:
    assert readable(f"a{NO_SPACE}b{LINE_END_HYPHEN}") == "ab-"
