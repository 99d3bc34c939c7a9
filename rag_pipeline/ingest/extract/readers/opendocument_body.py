"""Read the body of OpenDocument text and presentations, which share one vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.opendocument_styles import ListCounter, OdfStyles
from rag_pipeline.ingest.extract.readers.word_styles import whole_number
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_SKIPPED = frozenset({"settings", "scripts", "forms", "note-citation", "ruby-text", "creator", "date", "date-string",
                      "title", "desc", "event-listeners", "number", "meta-creator-initials", "creator-initials",
                      "index-title-template", "page-number"})  # fmt: skip
SHAPES = frozenset({"custom-shape", "rect", "ellipse", "circle", "line", "polyline", "polygon", "path", "connector",
                    "caption", "regular-polygon", "measure"})  # fmt: skip
ASIDES = frozenset({"note", "annotation", "text-box"}) | SHAPES
_MAY_BE_HIDDEN = frozenset({"span", "section", "hidden-text", "hidden-paragraph"})
_LENGTH = re.compile(r"(-?[0-9]{1,6}(?:\.[0-9]{1,9})?)(cm|mm|in|pt|pc|px)")
_UNITS = {"cm": 360_000, "mm": 36_000, "in": 914_400, "pt": 12_700, "pc": 152_400, "px": 9525}


@dataclass(slots=True)
class OdfContext:
    """What the body refers to, and the options. ``embedded`` returns the text of an embedded object."""

    styles: OdfStyles = field(default_factory=OdfStyles)
    embedded: Callable[[str], list[str]] = lambda _: []
    with_hidden: bool = False
    with_comments: bool = True
    hidden: int = 0
    """The number of pieces of hidden text that were left out."""


class OdfBody(XmlHandler):
    """Passes paragraphs, tables and notes to a flow writer."""

    def __init__(self, flow: FlowWriter, context: OdfContext) -> None:
        self.flow = flow
        self._context = context
        self._lists = ListCounter(context.styles)
        self._skipping = 0
        self._paragraphs: list[int | None] = []
        self._hidden: list[bool] = []
        self._hidden_depth = 0
        self._headings: dict[int, int] = {}
        self._label = ""
        self._column: list[int] = []
        self._spans: list[dict[int, int]] = []
        self._width = 1
        self._repeats_above = False
        self._in_changes = False
        self._change = ""
        self._deleted: dict[str, list[str]] = {}

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start an element."""
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
        elif self._in_changes:
            self._start_change(name, attributes)
        elif name in ("p", "h"):
            self._start_paragraph(name, attributes)
        elif name in _MAY_BE_HIDDEN:
            self._open_hidden(attributes)
        elif name == "s":
            self._text(" " * min(max(1, whole_number(attribute(attributes, "c"), 1)), 80))
        elif name == "tab":
            self._text("\t")
        elif name == "line-break":
            self._text("\n")
        elif name in ASIDES:
            self._start_aside(name, attributes)
        elif name in ("list", "list-item"):
            (self._lists.start_list if name == "list" else self._lists.start_item)(attributes)
        elif name == "object":
            self.flow.add_after(self._context.embedded(attribute(attributes, "href") or ""))
        elif name == "tracked-changes":
            self._in_changes = True
        elif name == "change":
            for text in self._deleted.get(attribute(attributes, "change-id") or "", ()):
                self._text(f"[deleted: {text}]")
        else:
            self._start_table_part(name, attributes)

    def _open_hidden(self, attributes: Mapping[str, str]) -> None:
        style, display = attribute(attributes, "style-name"), attribute(attributes, "display")
        hidden = self._context.styles.is_hidden(style) or display == "none"
        hidden = hidden or attribute(attributes, "is-hidden") == "true"
        self._hidden.append(hidden)
        self._hidden_depth += hidden

    def _close_hidden(self) -> None:
        self._hidden_depth -= self._hidden.pop()

    def _start_paragraph(self, name: str, attributes: Mapping[str, str]) -> None:
        level = whole_number(attribute(attributes, "outline-level"), 1) if name == "h" else None
        self._paragraphs.append(level)
        self._open_hidden(attributes)
        self._label = self._lists.take_label()
        if level is not None and not self._label and attribute(attributes, "is-list-header") != "true":
            for below in [at for at in self._headings if at > level]:
                del self._headings[below]
            self._headings[level] = self._headings.get(level, 0) + 1
            self._label = self._context.styles.heading_label(level, self._headings)

    def _start_aside(self, name: str, attributes: Mapping[str, str]) -> None:
        is_comment = name == "annotation"
        if is_comment and not self._context.with_comments:
            self._skipping += 1
            return
        kind = (attribute(attributes, "note-class") or "footnote").capitalize() if name == "note" else ""
        self.flow.start_aside("Comment" if is_comment else kind)

    def _start_change(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "changed-region":
            self._change = attribute(attributes, "id") or ""
        elif name == "deletion" and self._context.with_hidden:
            self._deleted[self._change] = []

    def _start_table_part(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "table":
            self.flow.start_table()
            self._spans.append({})
            self._column.append(0)
        elif not self._spans:
            return
        elif name == "table-row":
            self.flow.start_row()
            self._column[-1] = 0
        elif name == "table-cell":
            self._width = whole_number(attribute(attributes, "number-columns-spanned"), 1)
            rows = whole_number(attribute(attributes, "number-rows-spanned"), 1)
            if rows > 1:
                self._spans[-1][self._column[-1]] = rows
            self._repeats_above = False
            self.flow.start_cell()
        elif name == "covered-table-cell" and self._spans[-1].get(self._column[-1], 0) > 1:
            self._spans[-1][self._column[-1]] -= 1
            self.flow.start_cell()
            self._width, self._repeats_above = 1, True

    def end(self, name: str) -> None:
        """End an element."""
        if self._skipping:
            self._skipping -= 1
        elif self._in_changes:
            self._in_changes = name != "tracked-changes"
        elif name in ("p", "h") and self._paragraphs:
            self._end_paragraph()
        elif name in _MAY_BE_HIDDEN and self._hidden:
            self._close_hidden()
        elif name in ASIDES:
            self.flow.end_aside()
        elif name == "list":
            self._lists.end_list()
        else:
            self._end_table_part(name)

    def _end_table_part(self, name: str) -> None:
        if not self._spans:
            return
        if name == "table":
            self.flow.end_table()
            self._spans.pop()
            self._column.pop()
        elif name == "table-row":
            self.flow.end_row()
        elif name in ("table-cell", "covered-table-cell"):
            self.flow.end_cell(self._width, repeats_above=self._repeats_above)
            self._column[-1] += 1
            self._width, self._repeats_above = 1, False

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._skipping:
            return
        if self._in_changes:
            if self._change in self._deleted and text.strip():
                self._deleted[self._change].append(" ".join(text.split()))
        elif self._paragraphs:
            self._text(text)

    def _text(self, text: str) -> None:
        if self._hidden_depth:
            if not self._context.with_hidden:
                self._context.hidden += bool(text.strip())
                return
            text = f"[hidden: {text}]" if text.strip() else text
        if self._label and text.strip():
            self.flow.text(self._label + " ")
            self._label = ""
        self.flow.text(text)

    def _end_paragraph(self) -> None:
        level = self._paragraphs.pop()
        self._close_hidden()
        self.flow.end_paragraph(level)


def length(text: str | None) -> int | None:
    """Return a length such as ``2.5cm`` in English Metric Units; None if it is none."""
    match = _LENGTH.fullmatch(text or "")
    return int(float(match[1]) * _UNITS[match[2]]) if match else None
