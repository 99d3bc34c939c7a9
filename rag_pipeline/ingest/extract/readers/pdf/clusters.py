"""Clusters of Indic and South-East Asian letters, whose signs are drawn apart and in another order.

Browsers draw each part of a cluster by itself and write its letters beside it, as ``ActualText``. PDFium gives these
letters at the first part, once more at parts that it meets later, and guesses spaces where the other parts stand.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box

SIGNS = "\u0900-\u109f\u1780-\u17ff"
"""The ranges of these scripts, for a character class."""
_HAS_SIGNS = re.compile(f"[{SIGNS}]")
_MAX_OBJECTS, _MAX_MARKS = 20_000, 20  # taking parts out is quadratic
_ACTUAL_TEXT = b"ActualText"


def has_signs(text: str) -> bool:
    """Return whether the text has letters of these scripts."""
    return not text.isascii() and _HAS_SIGNS.search(text) is not None


def merge_clusters(page: Any) -> dict[tuple[float, float], float]:
    """Take the later parts of clusters out of the loaded page. The file is not changed.

    Returns the right end of each cluster, by the right end and the bottom of its first part.
    """
    ends: dict[tuple[float, float], float] = {}
    later_parts = []
    cluster, key = 0, (0.0, 0.0)
    for part in _objects(page):
        mark = _actual_text(part)
        if not mark:
            cluster = 0
            continue
        left, bottom, right, _ = bounds(part)
        if mark == cluster:
            later_parts.append(part)
            ends[key] = max(ends[key], right)
        elif right > left:
            cluster, key = mark, place(right, bottom)
            ends[key] = right
    for part in later_parts:
        if pdfium.FPDFPage_RemoveObject(page, part):
            pdfium.FPDFPageObj_Destroy(part)
    return ends


def place(right: float, bottom: float) -> tuple[float, float]:
    """Return a key for the end of a box."""
    return round(right, 1), round(bottom, 1)


def _objects(page: Any) -> Iterator[Any]:
    for index in range(min(pdfium.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        part = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(part) == pdfium.FPDF_PAGEOBJ_TEXT:
            yield part


def _actual_text(part: Any) -> int:
    """Return the address of the mark with the letters of a text object, 0 if it has none."""
    size = ctypes.c_ulong()
    for index in range(min(pdfium.FPDFPageObj_CountMarks(part), _MAX_MARKS)):
        mark = pdfium.FPDFPageObj_GetMark(part, index)
        if (
            pdfium.FPDFPageObjMark_GetParamStringValue(mark, _ACTUAL_TEXT, None, 0, ctypes.byref(size))
            and size.value > 2
        ):
            return ctypes.cast(mark, ctypes.c_void_p).value or 0
    return 0


def bounds(part: Any) -> Box:
    """Return the box of an object of a page."""
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(part, left, bottom, right, top)
    return (left.value, bottom.value, right.value, top.value)
