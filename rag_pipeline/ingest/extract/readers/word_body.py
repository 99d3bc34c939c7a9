"""Read the body of a Word document, or another part with paragraphs, such as its footnotes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rag_pipeline.ingest.extract.alternate_content import AlternateContent
from rag_pipeline.ingest.extract.readers.drawing import drawing_ids
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.word_styles import (
    BODY_LEVEL,
    Numbering,
    ParagraphStyle,
    Styles,
    is_on,
    whole_number,
)
from rag_pipeline.ingest.extract.symbol_font import symbol
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Formulas are written in one line.
_OPERATORS = {"den": "/", "sup": "^", "deg": ""}
# Readings of words, instructions of fields, and the properties that tracked changes replaced.
_SKIPPED = frozenset({"rt", "instrText", "delInstrText", "pPrChange", "rPrChange", "tblPrChange", "trPrChange",
                      "tcPrChange", "sectPrChange", "tblGridChange", "numberingChange", "docPartObj"})  # fmt: skip
_DELETED = frozenset({"del", "moveFrom"})
_PROPERTIES = frozenset({"pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "sdtPr"})
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote", "commentReference": "comment"}


@dataclass(slots=True)
class BodyContext:
    """What paragraphs refer to: styles, lists, notes by kind and id, and the text of charts by relationship.

    used: the notes that the text refers to. with_hidden: whether to bring in hidden and deleted text, marked.
    """

    styles: Styles = field(default_factory=Styles)
    numbering: Numbering = field(default_factory=Numbering)
    notes: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    drawing: Callable[[str], list[str]] = lambda _: []
    with_hidden: bool = False
    hidden: int = 0
    """The number of pieces of hidden text that were left out."""


class Body(XmlHandler):
    """Passes paragraphs, tables and notes to a flow writer."""

    def __init__(self, flow: FlowWriter, context: BodyContext) -> None:
        self._flow = flow
        self._context = context
        self._skipping = 0
        self._deleted = 0
        self._properties = 0
        self._in_text = False
        self._alternates = AlternateContent()
        # Text boxes nest paragraphs inside paragraphs.
        self._paragraphs: list[_Paragraph] = []
        self._hides_run = False
        self._span = 1
        self._repeats_above = False
        self._in_row_properties = False
        self._formulas = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start an element."""
        if self._skipping or name in _SKIPPED or self._alternates.start(name):
            self._skipping += 1
        elif name in _PROPERTIES:
            self._properties += 1
            self._in_row_properties = name == "trPr"
        elif self._properties:
            self._start_property(name, attributes)
        elif name in _DELETED:
            self._deleted += 1
        elif name == "p":
            self._paragraphs.append(_Paragraph())
        elif name in ("t", "delText"):
            self._in_text = True
        elif name == "r":
            self._hides_run = bool(self._paragraphs and self._paragraphs[-1].style.is_hidden)
        elif name in _CHARACTERS:
            self._text(_CHARACTERS[name])
        elif name in _NOTES:
            self._add_note(_NOTES[name], attribute(attributes, "id") or "")
        else:
            self._start_other(name, attributes)

    def _start_other(self, name: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "tbl":
                self._flow.start_table()
            case "tr":
                self._flow.start_row()
            case "tc":
                self._flow.start_cell()
                self._span, self._repeats_above = 1, False
            case "txbxContent":
                self._flow.start_aside()
            case "sym":
                code = attribute(attributes, "char") or ""
                font = attribute(attributes, "font") or ""
                self._text(symbol(int(code, 16), font) if _is_hexadecimal(code) else "")
            case "oMath":
                self._formulas += 1
            case _ if self._formulas and name in _OPERATORS:
                self._text(_OPERATORS[name])
            case _:
                if relation := drawing_ids(name, attributes):
                    self._flow.add_after(self._context.drawing(relation))

    def _start_property(self, name: str, attributes: Mapping[str, str]) -> None:
        value = attribute(attributes, "val") or ""
        paragraph = self._paragraphs[-1] if self._paragraphs else _Paragraph()
        match name:
            case "pStyle":
                paragraph.style_id = value
                paragraph.style = self._context.styles.resolve(value)
                self._hides_run = bool(paragraph.style.is_hidden)
            case "rStyle":
                self._hides_run = self._hides_run or bool(self._context.styles.resolve(value).is_hidden)
            case "outlineLvl":
                paragraph.outline_level = whole_number(value, BODY_LEVEL)
            case "numId":
                paragraph.list_id = value
            case "ilvl":
                paragraph.list_level = whole_number(value)
            case "vanish":
                self._hides_run = is_on(attributes)
            case "gridSpan":
                self._span = whole_number(value, 1)
            case "vMerge" | "hMerge":
                self._repeats_above = name == "vMerge" and value in ("", "continue")
            case "del" if self._in_row_properties:
                if not self._context.with_hidden:
                    self._flow.delete_row()
            case "del" | "moveFrom":
                paragraph.joins_next = not self._context.with_hidden

    def end(self, name: str) -> None:
        """End an element."""
        if self._skipping:
            self._skipping -= 1
        elif name in _PROPERTIES:
            self._properties -= 1
            self._in_row_properties = False
        elif self._properties:
            return
        elif name in _DELETED:
            self._deleted -= 1
        elif name in ("t", "delText"):
            self._in_text = False
        elif name == "p" and self._paragraphs:
            self._end_paragraph()
        elif name == "tc":
            self._flow.end_cell(self._span, repeats_above=self._repeats_above)
        elif name == "tr":
            self._flow.end_row()
        elif name == "tbl":
            self._flow.end_table()
        elif name == "txbxContent":
            self._flow.end_aside()
        elif name == "oMath":
            self._formulas -= 1
        else:
            self._alternates.end(name)

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._in_text and not self._skipping:
            self._text(text)

    def _text(self, text: str) -> None:
        if self._deleted or self._hides_run:
            if not self._context.with_hidden:
                self._context.hidden += bool(text.strip()) and not self._deleted
                return
            text = f"[{'deleted' if self._deleted else 'hidden'}: {text}]" if text.strip() else text
        if self._paragraphs and not self._paragraphs[-1].is_labelled:
            self._write_label(self._paragraphs[-1])
        self._flow.text(text)

    def _write_label(self, paragraph: _Paragraph) -> None:
        """Write the number of a list's paragraph before its text."""
        paragraph.is_labelled = True
        label = self._count(paragraph)
        if label:
            self._flow.text(label + " ")

    def _count(self, paragraph: _Paragraph) -> str:
        style = paragraph.style
        if paragraph.list_id is None:
            list_id, level = style.list_id, paragraph.list_level if style.list_level is None else style.list_level
        else:
            list_id, level = paragraph.list_id, paragraph.list_level or 0
        if list_id in (None, "", "0"):
            return ""
        return self._context.numbering.label(list_id or "", level, paragraph.style_id, self._context.styles)

    def _add_note(self, kind: str, identifier: str) -> None:
        is_new = (kind, identifier) not in self._context.used
        self._context.used.add((kind, identifier))
        if is_new and not self._deleted:
            self._flow.add_after(self._context.notes.get((kind, identifier), []))

    def _end_paragraph(self) -> None:
        paragraph = self._paragraphs.pop()
        if not paragraph.is_labelled:
            self._count(paragraph)  # an empty paragraph has a number, too
        if not paragraph.joins_next:
            self._flow.end_paragraph(paragraph.level)


class _Paragraph:
    """The style of a paragraph, and what its own properties change; they may come before its style."""

    __slots__ = ("is_labelled", "joins_next", "list_id", "list_level", "outline_level", "style", "style_id")

    def __init__(self) -> None:
        self.style = ParagraphStyle()
        self.style_id = ""
        self.list_id: str | None = None
        self.list_level: int | None = None
        self.outline_level: int | None = None
        self.is_labelled = False
        self.joins_next = False

    @property
    def level(self) -> int | None:
        """The level of a heading; None for other text."""
        if self.outline_level is None:
            return self.style.level
        return self.outline_level + 1 if self.outline_level < BODY_LEVEL else None


def _is_hexadecimal(text: str) -> bool:
    return 0 < len(text) <= 5 and all(char in "0123456789abcdefABCDEF" for char in text)


class Notes(XmlHandler):
    """Collects footnotes, endnotes or comments by id, each with a label such as ``Comment by Ann``."""

    def __init__(self, kind: str, context: BodyContext) -> None:
        self._kind = kind
        self._context = context
        self._body: Body | None = None
        self._flow = FlowWriter(None)
        self._id = ""
        self._label = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a note, or an element in it."""
        if self._body is not None:
            self._body.start(name, attributes)
        elif name == self._kind and attribute(attributes, "type") in (None, "normal"):
            # Separators between text and footnotes have another type.
            self._flow = FlowWriter(None)
            self._body = Body(self._flow, self._context)
            self._id = attribute(attributes, "id") or ""
            author = attribute(attributes, "author") if self._kind == "comment" else None
            self._label = self._kind.capitalize() + (f" by {author}" if author else "")

    def end(self, name: str) -> None:
        """End a note, or an element in it."""
        if self._body is None:
            return
        if name != self._kind:
            self._body.end(name)
            return
        self._flow.end()
        lines = [line.strip() for line in self._flow.lines if line.strip()]
        if lines:
            lines[0] = f"{self._label}: {lines[0]}"
            self._context.notes[self._kind, self._id] = lines
        self._body = None

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._body is not None:
            self._body.text(text)
