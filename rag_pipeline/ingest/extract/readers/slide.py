"""Read the shapes of a slide: their text, tables, charts and positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rag_pipeline.ingest.extract.alternate_content import AlternateContent
from rag_pipeline.ingest.extract.readers.drawing import drawing_ids
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.list_numbers import write_number
from rag_pipeline.ingest.extract.readers.slide_layout import Box, Shape
from rag_pipeline.ingest.extract.readers.word_styles import whole_number
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

# Placeholders without the author's text: slide numbers, dates, headers and footers.
_IGNORED_PLACEHOLDERS = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_TITLES = frozenset({"title", "ctrTitle"})
_SHAPES = frozenset({"sp", "cxnSp", "graphicFrame", "pic", "contentPart", "grpSp"})
_NUMBER_FORMATS = {
    "arabic": "decimal", "alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman",
    "romanUc": "upperRoman", "circle": "decimalEnclosedCircle", "ea1": "chineseCounting",
}  # fmt: skip


class Slide(XmlHandler):
    """Collects the shapes of a slide, of its notes or of its layout."""

    def __init__(
        self,
        drawing: Callable[[str], list[str]] = lambda _: [],
        placeholders: Mapping[tuple[str, str], Box] | None = None,
    ) -> None:
        self.root = Shape()
        self.is_hidden = False
        self.placeholders: dict[tuple[str, str], Box] = {}
        """The positions of placeholders by type and by index, for the slides that follow a layout."""
        self._drawing = drawing
        self._inherited = placeholders or {}
        self._stack: list[Shape] = [self.root]
        self._flow = FlowWriter(None)
        self._alternates = AlternateContent()
        self._skipping = 0
        self._in_text = False
        self._is_ignored = False
        self._placeholder: tuple[str, str] | None = None
        self._offset = (0, 0)
        self._span = 1
        self._cell_is_merged = False
        self._repeats_above = False
        self._counters: dict[int, int] = {}
        self._level = 0
        self._number: tuple[str, int] | None = None

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start an element."""
        if self._skipping or self._alternates.start(name):
            self._skipping += 1
        elif name in _SHAPES:
            self._start_shape()
        elif name == "t":
            self._in_text = True
        elif name in ("p", "pPr", "buAutoNum", "buNone", "br"):
            self._start_paragraph_part(name, attributes)
        elif name == "ph":
            kind = attribute(attributes, "type") or "body"
            self._placeholder = kind, attribute(attributes, "idx") or ""
            self._is_ignored = kind in _IGNORED_PLACEHOLDERS
            self._stack[-1].is_title = kind in _TITLES
        elif name == "off":
            self._offset = whole_number(attributes.get("x")), whole_number(attributes.get("y"))
        elif name == "ext" and "cx" in attributes and self._stack[-1].box is None:
            left, top = self._offset
            right, bottom = left + whole_number(attributes.get("cx")), top + whole_number(attributes.get("cy"))
            self._stack[-1].box = Box(left, top, right, bottom)
        elif name == "sld":
            self.is_hidden = attributes.get("show") in ("0", "false")
        else:
            self._start_table_part(name, attributes)

    def _start_shape(self) -> None:
        shape = Shape()
        self._stack[-1].shapes.append(shape)
        self._stack.append(shape)
        self._flow = FlowWriter(None)
        self._is_ignored, self._placeholder = False, None
        self._counters = {}

    def _start_paragraph_part(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "p":
            self._level, self._number = 0, None
        elif name == "pPr":
            self._level = whole_number(attributes.get("lvl"))
        elif name == "buAutoNum":
            self._number = attributes.get("type", ""), whole_number(attributes.get("startAt"), 1)
        elif name == "br":
            self._flow.text("\n")

    def _start_table_part(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "tbl":
            self._flow.start_table()
        elif name == "tr":
            self._flow.start_row()
        elif name == "tc":
            self._cell_is_merged = attributes.get("hMerge") in ("1", "true")
            self._repeats_above = attributes.get("vMerge") in ("1", "true")
            self._span = whole_number(attributes.get("gridSpan"), 1)
            if not self._cell_is_merged:
                self._flow.start_cell()
        elif relation := drawing_ids(name, attributes):
            self._flow.add_after(self._drawing(relation))

    def end(self, name: str) -> None:
        """End an element."""
        if self._skipping:
            self._skipping -= 1
        elif name in _SHAPES and len(self._stack) > 1:
            self._end_shape()
        elif name == "t":
            self._in_text = False
        elif name == "p":
            self._flow.end_paragraph()
        elif name == "tc" and not self._cell_is_merged:
            self._flow.end_cell(self._span, repeats_above=self._repeats_above)
        elif name == "tr":
            self._flow.end_row()
        elif name == "tbl":
            self._flow.end_table()
        else:
            self._alternates.end(name)

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._in_text and not self._is_ignored and not self._skipping:
            if not self._flow.has_text:
                self._write_number()
            self._flow.text(text)

    def _write_number(self) -> None:
        """Write the number of a list's paragraph before its text."""
        for below in [level for level in self._counters if level > self._level]:
            del self._counters[below]
        if self._number is None:
            self._counters.pop(self._level, None)
            return
        kind, start = self._number
        number = self._counters[self._level] = self._counters.get(self._level, start - 1) + 1
        prefix = next((prefix for prefix in _NUMBER_FORMATS if kind.startswith(prefix)), "arabic")
        shown = write_number(number, _NUMBER_FORMATS[prefix])
        ending = {"Period": ".", "ParenR": ")", "ParenBoth": ")", "Plain": ""}
        shown += next((mark for word, mark in ending.items() if kind.endswith(word)), ".")
        self._flow.text(("(" if kind.endswith("ParenBoth") else "") + shown + " ")

    def _end_shape(self) -> None:
        self._flow.end()
        shape = self._stack.pop()
        shape.lines += [line for line in self._flow.lines if line.strip()]
        self._flow = FlowWriter(None)
        if self._placeholder is not None:
            kind, index = self._placeholder
            if shape.box is not None:
                self.placeholders.setdefault(("", index or kind), shape.box)
                self.placeholders.setdefault((kind, ""), shape.box)
            else:
                shape.box = self._inherited.get(("", index or kind)) or self._inherited.get((kind, ""))
            self._placeholder = None
