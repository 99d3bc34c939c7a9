"""Read the slides of an OpenDocument presentation, and the pages of a drawing."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.opendocument_body import SHAPES, OdfBody, OdfContext, length
from rag_pipeline.ingest.extract.readers.slide_layout import Box, Shape, reading_order
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_SHAPES = SHAPES | {"frame", "g"}


class OdfSlides(XmlHandler):
    """Writes each page's shapes in reading order, then its notes and comments."""

    def __init__(self, writer: SectionWriter, context: OdfContext, noun: str) -> None:
        self._writer = writer
        self._context = context
        self._noun = noun
        self._body = OdfBody(FlowWriter(None), context)
        self._number = 0
        self._stack: list[Shape] = []
        self._notes: Shape | None = None
        self._is_hidden = False
        self._page_flow = self._body.flow

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a page, a shape or an element in it."""
        if name == "page":
            self._number += 1
            self._is_hidden = self._context.styles.is_hidden(attribute(attributes, "style-name"))
            self._stack = [Shape()]
            self._notes = None
            self._page_flow = self._body.flow = FlowWriter(None)
        elif not self._stack:
            return
        elif name == "notes":
            self._notes = Shape()
            self._stack.append(self._notes)
        elif name in _SHAPES:
            shape = Shape(_box(attributes), is_title=attribute(attributes, "class") == "title")
            self._stack[-1].shapes.append(shape)
            self._stack.append(shape)
            self._body.flow = FlowWriter(None)
        else:
            self._body.start(name, attributes)

    def end(self, name: str) -> None:
        """End a page, a shape or an element in it."""
        if not self._stack:
            return
        if name == "page":
            self._write_page()
            self._stack = []
        elif name == "notes" or name in _SHAPES:
            if len(self._stack) > 1:
                self._body.flow.end()
                shape = self._stack.pop()
                shape.lines += [line for line in self._body.flow.lines if line.strip()]
                self._body.flow = self._page_flow if len(self._stack) == 1 else FlowWriter(None)
        else:
            self._body.end(name)

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._stack:
            self._body.text(text)

    def _write_page(self) -> None:
        if self._is_hidden and not self._context.with_hidden:
            self._context.hidden += 1
            return
        self._writer.section(f"{self._noun} {self._number}" + (" (hidden)" if self._is_hidden else ""))
        shapes = reading_order(self._stack[0].shapes)
        title = next((shape for shape in shapes if shape.is_title and shape.lines), None)
        if title is not None:
            self._writer.heading(1, " ".join(title.lines))
        self._page_flow.end()  # comments are on the page itself
        lines = [line for shape in shapes if shape is not title for line in shape.lines]
        notes = [line for shape in reading_order(self._notes.shapes) for line in shape.lines] if self._notes else []
        lines += [line for line in self._page_flow.lines if line.strip()]
        self._writer.write("".join(f"{line}\n" for line in [*lines, *([""] if notes else []), *notes]))


def _box(attributes: Mapping[str, str]) -> Box | None:
    left, top = length(attribute(attributes, "x")), length(attribute(attributes, "y"))
    if left is None or top is None:
        return None
    width, height = length(attribute(attributes, "width")) or 0, length(attribute(attributes, "height")) or 0
    return Box(left, top, left + width, top + height)
