"""Read PDF, page by page."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.pdf.annotations import Form, insert_fragments, read_annotations
from rag_pipeline.ingest.extract.readers.pdf.headings import Headings
from rag_pipeline.ingest.extract.readers.pdf.hyphens import join_broken_words
from rag_pipeline.ingest.extract.readers.pdf.layout import reading_rows, row_text
from rag_pipeline.ingest.extract.readers.pdf.legibility import SecondOpinion
from rag_pipeline.ingest.extract.readers.pdf.page_text import PageText, read_page_text
from rag_pipeline.ingest.extract.readers.pdf.pdfium import PdfDocument
from rag_pipeline.ingest.extract.readers.pdf.scans import needs_ocr
from rag_pipeline.ingest.extract.section_writer import SectionWriter

# A page with a higher share of undecoded letters is left out: no word of it can be found.
_MAX_UNDECODED_SHARE = 0.5
_MAX_IN_A_ROW = 200
_MAX_PAGES_NAMED = 5
_DESCRIPTIONS = ("Title", "Author", "Subject", "Keywords")


def read_pdf(file: InputFile, writer: SectionWriter) -> None:
    """Read the text layer, form values and notes; locators are page numbers, from 1, with the headings.

    An unreadable page is left out with a warning; if all pages are unreadable, it is an error.
    """
    with closing(PdfDocument(file.stream, file.size)) as document, closing(Form(document)) as form:
        if document.page_count <= 0:
            raise CorruptFileError("it has no pages")
        for key in _DESCRIPTIONS:
            writer.describe(key.lower(), document.describe(key))
        _read_pages(document, form, SecondOpinion(file.stream, file.size, file.limits.memory_bytes // 16), writer)
        if form.is_xfa and not form.values_read:
            writer.warn("form_not_read", "form values could not be read")


def _read_pages(document: PdfDocument, form: Form, second: SecondOpinion, writer: SectionWriter) -> None:
    headings = Headings(document.outline())
    # Ghostscript replaces spaces by character spacing, of which PDFium knows nothing.
    has_gaps = "ghostscript" in document.describe("Producer").lower()
    unreadable = in_a_row = 0
    for index in range(document.page_count):
        writer.page(f"page {index + 1}", of=document.page_count)
        try:
            with document.page(index) as page:
                text = read_page_text(page, wide_gaps_are_spaces=has_gaps)
                _read_page(page, index, text, form, second, headings, writer)
            in_a_row = 0
        except CorruptFileError as error:
            unreadable += 1
            in_a_row += 1
            if unreadable == index + 1 == min(document.page_count, _MAX_IN_A_ROW):
                raise
            if unreadable <= _MAX_PAGES_NAMED:
                writer.warn("unreadable_page", f"page {index + 1} is left out: {error}")
            else:
                writer.warn("unreadable_page", "more pages are left out")
            if in_a_row == _MAX_IN_A_ROW:  # the number of pages is wrong; looking for each takes long
                return
        writer.progress((index + 1) / document.page_count)


def _read_page(
    page: Any,
    index: int,
    text: PageText,
    form: Form,
    second: SecondOpinion,
    headings: Headings,
    writer: SectionWriter,
) -> None:
    if text.is_doubtful and (other := second.page_text(index)):
        writer.write(other)
        return
    if needs_ocr(page, text):
        writer.has_no_text()
    is_legible = text.undecoded <= _MAX_UNDECODED_SHARE * text.letters
    if text.undecoded:
        writer.undecoded(text.undecoded, unwritten=0 if is_legible else text.letters)
    fragments = text.fragments if is_legible else []
    added, notes = read_annotations(page, form, text.turns)
    insert_fragments(fragments, added)
    rows = reading_rows(fragments, right_to_left=text.right_to_left)
    found = headings.on_page(index, rows)
    lines: list[str] = []
    row = 0
    while row < len(rows):
        if row in found:
            level, count, title = found[row]
            _write_lines(lines, writer)
            lines = []
            writer.heading(level, title)
            row += count
        else:
            lines.append(row_text(rows[row]))
            row += 1
    _write_lines([*lines, *(f"Note: {note}" for note in notes)], writer)


def _write_lines(lines: list[str], writer: SectionWriter) -> None:
    if lines:
        writer.write("\n".join(join_broken_words(lines)) + "\n")
