"""Tell scanned pages: a picture fills them, and their text is a stamp, a header or a page number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.clusters import bounds
from rag_pipeline.ingest.extract.readers.pdf.page_text import PageText
from rag_pipeline.ingest.extract.section_writer import MAX_ODD_SHARE

# A page of prose has more than a thousand letters; the longest stamps of libraries have about 250.
_FEW_LETTERS = 300
_FILLED = 0.65
# Slides have few words over a background picture too, in larger type; in shares of the page's height.
_LARGE_TYPE, _VERY_FEW_LETTERS = 0.022, 25
_MAX_OBJECTS = 500
_INVISIBLE = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE


def needs_ocr(page: Any, text: PageText) -> bool:
    """Return whether people read other words on the page than its text has, so that only OCR can read them."""
    return text.undecoded > MAX_ODD_SHARE * text.letters or (text.letters <= _FEW_LETTERS and _is_scan(page, text))


def _is_scan(page: Any, text: PageText) -> bool:
    sides = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, sides):
        return False
    width, height = sides.right - sides.left, sides.top - sides.bottom
    covered = 0.0
    invisible = visible = 0
    for part, kind in _objects(page):
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            covered += _area(part, sides)
        elif kind == pdfium.FPDF_PAGEOBJ_TEXT:
            is_invisible = pdfium.FPDFTextObj_GetTextRenderMode(part) == _INVISIBLE
            invisible += is_invisible
            visible += not is_invisible
    if covered < _FILLED * width * height or invisible > visible:  # invisible: somebody's OCR has read it already
        return False
    return text.letters <= _VERY_FEW_LETTERS or not _is_large(text, max(width, height))


def _is_large(text: PageText, page_size: float) -> bool:
    letters = sum(len(fragment.text) for fragment in text.fragments)
    large = sum(len(fragment.text) for fragment in text.fragments if fragment.size > _LARGE_TYPE * page_size)
    return 2 * large > letters


def _objects(page: Any) -> Iterator[tuple[Any, int]]:
    """Yield the objects with their types; a form with a picture in it, which has all of an old page, is a picture."""
    for index in range(min(pdfium.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        part = pdfium.FPDFPage_GetObject(page, index)
        kind = pdfium.FPDFPageObj_GetType(part)
        if kind != pdfium.FPDF_PAGEOBJ_FORM:
            yield part, kind
            continue
        has_picture = False
        for number in range(min(max(0, pdfium.FPDFFormObj_CountObjects(part)), _MAX_OBJECTS)):
            child = pdfium.FPDFFormObj_GetObject(part, number)
            kind = pdfium.FPDFPageObj_GetType(child)
            has_picture = has_picture or kind == pdfium.FPDF_PAGEOBJ_IMAGE
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                yield child, kind
        if has_picture:
            yield part, pdfium.FPDF_PAGEOBJ_IMAGE


def _area(part: Any, page: Any) -> float:
    left, bottom, right, top = bounds(part)
    width = min(right, page.right) - max(left, page.left)
    height = min(top, page.top) - max(bottom, page.bottom)
    return float(max(0.0, width) * max(0.0, height))
