"""Read the XML formats of Office 2003: documents of Word, and workbooks of Excel."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.document_properties import Properties
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.excel_sheet import MAX_COLUMNS
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.sheet_writer import SheetWriter
from rag_pipeline.ingest.extract.readers.word_body import Body, BodyContext
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml

_IGNORED = XmlHandler()
_PROPERTIES = {"Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords"}
_MIDNIGHT = "T00:00:00.000"


class _Body(Body):
    """Reads the body; deletions, comments and notes are written otherwise than in docx."""

    def __init__(self, flow: FlowWriter, context: BodyContext, *, with_comments: bool) -> None:
        super().__init__(flow, context)
        self._with_comments = with_comments
        self._names: list[str] = []  # of the open elements, as docx has them

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._names.append(self._docx_name(name, attribute(attributes, "type") or ""))
        super().start(self._names[-1], attributes)

    def end(self, name: str) -> None:
        super().end(self._names.pop() if self._names else name)

    def _docx_name(self, name: str, kind: str) -> str:
        if name in ("footnote", "endnote"):
            return "txbxContent"
        if name == "annotation" and kind == "Word.Deletion":
            return "del"
        if name == "annotation" and kind == "Word.Comment":
            return "txbxContent" if self._with_comments else "instrText"  # which is left out
        return name


class _Parts(XmlHandler):
    """Passes each part of a document to its reader."""

    def __init__(self, parts: Mapping[str, XmlHandler]) -> None:
        self._parts = parts
        self._part: XmlHandler = _IGNORED
        self._depth = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._depth:
            self._depth += 1
            self._part.start(name, attributes)
        elif name in self._parts:
            self._part, self._depth = self._parts[name], 1

    def end(self, name: str) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth:
            self._part.end(name)

    def text(self, text: str) -> None:
        if self._depth:
            self._part.text(text)


class _Sheets(XmlHandler):
    """Passes the rows of each sheet to a sheet writer; numbers are as stored, days without their midnight."""

    def __init__(self, writer: SectionWriter, *, with_hidden: bool) -> None:
        self._writer = writer
        self._with_hidden = with_hidden
        self._sheet: SheetWriter | None = None
        self._row = 0
        self._column = 0
        self._cells: list[str] = []
        self._notes: list[str] = []
        self._is_hidden = False
        self._into: list[str] | None = None
        self._kind = ""
        self._span = 0
        self.hidden = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "Worksheet":
            self._sheet = SheetWriter(self._writer, f"sheet {attribute(attributes, 'Name') or ''}".strip())
            self._row = 0
        elif name == "Row":
            self._row = _index(attributes, self._row + 1)
            self._cells, self._notes, self._column = [], [], 0
            self._is_hidden = attribute(attributes, "Hidden") == "1"
        elif name == "Cell":
            self._column = _index(attributes, self._column + 1)
            self._span = _number(attribute(attributes, "MergeAcross"))
        elif name == "Data":
            self._kind, self._into = attribute(attributes, "Type") or "", []

    def end(self, name: str) -> None:
        if name == "Data":
            self._end_data()
        elif name == "Cell":
            self._column += self._span
        elif name == "Row":
            self._end_row()
        elif name == "Worksheet" and self._sheet is not None:
            self._sheet.end()
            self._sheet = None

    def text(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    def _end_data(self) -> None:
        text = "".join(self._into or ())
        self._into = None
        if self._kind == "Boolean":
            text = "TRUE" if text == "1" else "FALSE"
        elif self._kind == "DateTime":
            text = text.removesuffix(_MIDNIGHT).replace("T", " ").removesuffix(".000")
        if not self._kind:  # of a comment
            self._notes.append(f"Comment: {text}")
        elif 0 < self._column <= MAX_COLUMNS:
            self._cells.extend([""] * (self._column - len(self._cells)))
            self._cells[self._column - 1] = text

    def _end_row(self) -> None:
        if self._sheet is None:
            return
        if self._is_hidden and not self._with_hidden:
            self._sheet.skip()
            self.hidden += any(self._cells)
            return
        self._sheet.row(self._row, self._cells, self._notes, hidden=self._is_hidden)


def _index(attributes: Mapping[str, str], following: int) -> int:
    """Return the place of a row or cell: its own, or the next one."""
    return max(following, _number(attribute(attributes, "Index")))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 8 else 0


def read_word_2003(file: InputFile, writer: SectionWriter) -> None:
    """Read a Word document in one XML file; locators are paths of headings."""
    context = BodyContext(with_hidden=file.options.hidden)
    flow = FlowWriter(writer)
    body = _Body(flow, context, with_comments=file.options.comments)
    properties = Properties(_PROPERTIES)
    parts = {"DocumentProperties": properties, "styles": context.styles, "body": body}
    _parse(file, _Parts(parts), writer)
    flow.end()
    for key, value in properties.values.items():
        writer.describe(key, value)
    if context.hidden:
        writer.warn("hidden_text", "hidden words are left out")


def read_excel_2003(file: InputFile, writer: SectionWriter) -> None:
    """Read a workbook in one XML file; locators are sheets and rows."""
    sheets = _Sheets(writer, with_hidden=file.options.hidden)
    _parse(file, sheets, writer)
    if sheets.hidden:
        writer.warn("hidden_text", "hidden rows are left out", sheets.hidden)


def _parse(file: InputFile, handler: XmlHandler, writer: SectionWriter) -> None:
    file.stream.seek(0)
    parse_xml(file.stream, handler, on_block=lambda done: writer.progress(min(1.0, done / max(1, file.size))))
