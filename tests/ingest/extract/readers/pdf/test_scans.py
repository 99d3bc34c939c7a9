"""Scanned pages with a stamp, a header or a page number, and other pages with pictures."""

from __future__ import annotations

import io
from contextlib import closing

import pytest

from rag_pipeline.ingest.extract.readers.pdf.page_text import read_page_text
from rag_pipeline.ingest.extract.readers.pdf.pdfium import PdfDocument
from rag_pipeline.ingest.extract.readers.pdf.scans import needs_ocr
from tests.ingest.extract.makers import make_pdf, read, warnings
from tests.ingest.extract.readers.pdf.makers import document, stream

STAMP = b"BT /F1 9 Tf 72 20 Td (Downloaded by Ann Example on 6 May 2024 from library.example.org, page 3) Tj ET"
SCANNED = ["1 of 1 pages has no text (scanned?)"]


def picture(left: float = 0, bottom: float = 0, width: float = 595, height: float = 842) -> bytes:
    """Return content that draws a picture."""
    return b"q %d 0 0 %d %d %d cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q " % (width, height, left, bottom)


def is_scan(data: bytes) -> bool:
    """Return whether the first page needs OCR."""
    with closing(PdfDocument(io.BytesIO(data), len(data))) as opened, opened.page(0) as page:
        return needs_ocr(page, read_page_text(page))


@pytest.mark.parametrize("text", [b"BT /F1 11 Tf 300 20 Td (3) Tj ET", STAMP])
def test_a_stamp_on_a_scan_is_kept_and_its_page_counts_as_one_without_text(text: bytes) -> None:
    data = make_pdf(1, content=picture() + text)
    assert len(read(data)) == 1
    assert warnings(data) == SCANNED


def test_a_scan_in_strips_with_margins_is_one() -> None:
    strips = b"".join(picture(20, 30 + 80 * number, 555, 80) for number in range(9))
    assert is_scan(make_pdf(1, content=strips + STAMP))


@pytest.mark.parametrize(
    "content",
    [
        STAMP,
        picture(100, 200, 300, 300) + STAMP,
        picture() + b"3 Tr " + STAMP,
        picture() + b"BT /F1 28 Tf 60 500 Td (The harbour needs two more cranes by autumn) Tj ET",
        picture() + b"BT /F1 9 Tf 12 TL 40 780 Td " + b"(Words of a letter on coloured paper) ' " * 12 + b"ET",
    ],
    ids=["no picture", "a small picture", "invisible text of OCR", "a slide", "a letter"],
)
def test_other_pages_have_their_own_text(content: bytes) -> None:
    assert not is_scan(make_pdf(1, content=content))


def test_a_page_that_was_wrapped_in_a_form_to_stamp_it_is_a_scan() -> None:
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<<>>"
    data = document(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 4 0 R>>/XObject<</X 6 0 R>>>>"
        b"/Contents 5 0 R>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        stream(b"q /X Do Q " + STAMP),
        stream(picture(), form),
    )
    assert is_scan(data)
