"""Documents are opened through a stream, and damage is an error of this package."""

from __future__ import annotations

import errno
import io
from contextlib import closing

import pytest

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.readers.pdf.pdfium import PdfDocument
from tests.ingest.extract.makers import make_pdf
from tests.ingest.extract.readers.pdf.makers import document


class FailingStream(io.BytesIO):
    """A stream whose reads fail once ``fails`` is set."""

    fails = False

    def read(self, size: int | None = -1) -> bytes:
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_document_has_pages_and_a_missing_one_is_an_error() -> None:
    data = make_pdf(3)
    with closing(PdfDocument(io.BytesIO(data), len(data))) as opened:
        assert opened.page_count == 3
        with opened.page(2) as page:
            assert page
        with pytest.raises(CorruptFileError, match="contents"), opened.page(3):
            pass


def test_an_error_of_the_storage_stays_one() -> None:
    data = make_pdf(3, lines=200)
    stream = FailingStream(data)
    stream.fails = True
    with pytest.raises(OSError, match="Input/output"):
        PdfDocument(stream, len(data))
    stream.fails = False
    with closing(PdfDocument(stream, len(data))) as opened:
        stream.fails = True
        with pytest.raises(OSError, match="Input/output"), opened.page(0):
            pass


def test_a_stream_that_is_shorter_than_it_said_is_damaged() -> None:
    with pytest.raises(CorruptFileError, match="no PDF document"):
        PdfDocument(io.BytesIO(b"%PDF-1.7\n"), 5_000)


def outline(*entries: bytes) -> bytes:
    """Return a PDF of one page whose outline has these entries, from object 5 on."""
    return document(
        b"<</Type/Catalog/Pages 2 0 R/Outlines 4 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        b"<</First 5 0 R>>",
        *entries,
    )


def test_the_outline_has_pages_levels_and_titles() -> None:
    data = outline(
        b"<</Title(One)/First 6 0 R/Next 7 0 R/Dest[3 0 R/Fit]>>",
        b"<</Title(One  one)/Dest[3 0 R/Fit]>>",
        b"<</Title<FEFF00DC0062>/Dest[3 0 R/Fit]>>",
    )
    with closing(PdfDocument(io.BytesIO(data), len(data))) as opened:
        assert list(opened.outline()) == [(0, 1, "One"), (0, 2, "One one"), (0, 1, "Üb")]


def test_an_outline_that_loops_ends() -> None:
    data = outline(b"<</Title(a)/First 5 0 R/Next 5 0 R/Dest[3 0 R/Fit]>>")
    with closing(PdfDocument(io.BytesIO(data), len(data))) as opened:
        assert list(opened.outline()) == [(0, 1, "a")]
