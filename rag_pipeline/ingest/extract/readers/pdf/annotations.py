"""Read the values of form fields, and people's notes on a page."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment, turn
from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box, PdfDocument, read_string

_MAX_ANNOTATIONS = 5_000
_HIDDEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD_FIELD = 1 << 13
_NOTES = frozenset(
    {
        pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_LINE, pdfium.FPDF_ANNOT_SQUARE, pdfium.FPDF_ANNOT_CIRCLE,
        pdfium.FPDF_ANNOT_POLYGON, pdfium.FPDF_ANNOT_POLYLINE, pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE, pdfium.FPDF_ANNOT_SQUIGGLY, pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_STAMP, pdfium.FPDF_ANNOT_CARET, pdfium.FPDF_ANNOT_INK,
    }
)  # fmt: skip
_TEXT_FIELDS = frozenset({pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX})
_CHOICES = frozenset({pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX})
_BOXES = frozenset({pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON})
_MAX_OPTIONS = 5_000
_NO_CHOICE = re.compile(r"(?i:on|yes|true|off|selected|checked|choice|option|button|radio)?[\s_-]?\d*")


class Form:
    """The interactive form of a document, or nothing if it has none. Scripts never run: the library has none."""

    def __init__(self, document: PdfDocument) -> None:
        """Prepare to read values; ``is_xfa`` tells of a form in XML, which PDFium can't fill."""
        kind = pdfium.FPDF_GetFormType(document.raw)
        self.is_xfa = kind in (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND)
        self.values_read = 0
        self._handle: Any = None
        if kind != pdfium.FORMTYPE_NONE:
            self._callbacks = pdfium.FPDF_FORMFILLINFO(version=2)  # PDFium keeps its address
            self._handle = pdfium.FPDFDOC_InitFormFillEnvironment(document.raw, self._callbacks)

    def close(self) -> None:
        """Free it, before the document."""
        if self._handle:
            pdfium.FPDFDOC_ExitFormFillEnvironment(self._handle)

    def value(self, annotation: Any) -> str:
        """Return the value of a field as people see it; ``[x]`` or ``[ ]`` for a check box or radio button."""
        kind = pdfium.FPDFAnnot_GetFormFieldType(self._handle, annotation) if self._handle else -1
        text = _own_value(annotation, _entry(annotation, b"FT")) if kind <= pdfium.FPDF_FORMFIELD_UNKNOWN else ""
        if kind in _BOXES:
            text = _own_value(annotation, "Btn")
            if text == "[x]" and kind == pdfium.FPDF_FORMFIELD_RADIOBUTTON:
                text = " ".join(filter(None, [text, _choice(_entry(annotation, b"AS"))]))
        elif kind in _CHOICES:
            text = ", ".join(self._selected(annotation))
        if not text and kind in _TEXT_FIELDS:
            flags = pdfium.FPDFAnnot_GetFormFieldFlags(self._handle, annotation)
            if not (kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and flags & _PASSWORD_FIELD):
                text = read_string(
                    lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(self._handle, annotation, buffer, size)
                )
        self.values_read += bool(text)
        return text

    def _selected(self, annotation: Any) -> Iterator[str]:
        count = pdfium.FPDFAnnot_GetOptionCount(self._handle, annotation)
        for index in range(min(count, _MAX_OPTIONS)):
            if pdfium.FPDFAnnot_IsOptionSelected(self._handle, annotation, index):
                yield _option(self._handle, annotation, index)


def _option(form: Any, annotation: Any, index: int) -> str:
    return read_string(lambda buffer, size: pdfium.FPDFAnnot_GetOptionLabel(form, annotation, index, buffer, size))


def read_annotations(page: Any, form: Form, turns: int) -> tuple[list[Fragment], list[str]]:
    """Return the fragments that stand on the page, which are field values and text boxes, and the notes."""
    fragments: list[Fragment] = []
    notes: list[str] = []
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        with _annotation(page, index) as annotation:
            if not annotation or pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                continue
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium.FPDF_ANNOT_WIDGET:
                text = form.value(annotation)
            elif kind == pdfium.FPDF_ANNOT_FREETEXT or kind in _NOTES:
                text = _entry(annotation, b"Contents")
            else:
                continue
            if kind in _NOTES:
                notes += [text] if text.strip() else []
            elif text.strip():
                fragments.append(_place(text, annotation, turns))
    return fragments, notes


@contextmanager
def _annotation(page: Any, index: int) -> Iterator[Any]:
    annotation = pdfium.FPDFPage_GetAnnot(page, index)
    try:
        yield annotation
    finally:
        if annotation:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _entry(annotation: Any, key: bytes) -> str:
    return read_string(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def _own_value(annotation: Any, kind: str) -> str:
    """Return the value in the annotation itself, for boxes and for fields that no form lists."""
    match kind:
        case "Tx" | "Ch":
            return _entry(annotation, b"V")
        case "Btn":
            return {"": "", "Off": "[ ]"}.get(_entry(annotation, b"AS"), "[x]")  # the appearance that is shown
    return ""


def _choice(name: str) -> str:
    """Return the name of a chosen radio button, unless it only says that it is on or which one it is."""
    return "" if _NO_CHOICE.fullmatch(name) else name


def _place(text: str, annotation: Any, turns: int) -> Fragment:
    rectangle = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, ctypes.byref(rectangle))
    box: Box = (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
    return Fragment("\n".join(text.splitlines()), *turn(box, turns))


def insert_fragments(fragments: list[Fragment], added: list[Fragment]) -> None:
    """Insert each of ``added`` after the fragment to its left on the same line, else after the one above it."""
    for fragment in added:
        fragments.insert(_position(fragments, fragment), fragment)


def _position(fragments: list[Fragment], added: Fragment) -> int:
    best, position = (True, float("inf")), 0
    for index, fragment in enumerate(fragments, start=1):
        if fragment.bottom < added.middle < fragment.top or added.bottom < fragment.middle < added.top:
            rank = (False, added.left - fragment.left)
        else:
            rank = (True, fragment.middle - added.middle)
        if rank[1] >= 0 and rank < best:
            best, position = rank, index
    return position
