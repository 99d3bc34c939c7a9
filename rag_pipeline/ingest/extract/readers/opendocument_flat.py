"""Read flat OpenDocument files (fodt, fods, fodp, fodg): the parts of the zip archive as one XML document."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.document_properties import Properties
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.opendocument import (
    ODF_PROPERTIES,
    OdfMargins,
    body_reader,
    warn_hidden,
    write_margins,
)
from rag_pipeline.ingest.extract.readers.opendocument_body import OdfContext
from rag_pipeline.ingest.extract.readers.opendocument_object import EmbeddedObject
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml

_STYLES = frozenset({"styles", "automatic-styles", "master-styles"})
_IGNORED = XmlHandler()


class _FlatDocument(XmlHandler):
    """Passes each part of the document to its reader, and embedded documents as the text of their object."""

    def __init__(self, writer: SectionWriter, context: OdfContext, flow: FlowWriter) -> None:
        self.metadata = Properties(ODF_PROPERTIES)
        self.margins = OdfMargins(context)
        self.body: XmlHandler = _IGNORED
        self._writer = writer
        self._context = context
        self._flow = flow
        self._kind = ""
        self._depth = 0
        self._part: XmlHandler = _IGNORED
        self._pictures = 0
        self._object: EmbeddedObject | None = None
        self._objects = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self._kind = attribute(attributes, "mimetype") or ""
        elif self._depth == 2:
            self._start_part(name)
        elif name == "binary-data":
            self._pictures += 1
        elif self._part is self.body and name in ("object", "document"):
            self._start_object(name)
        else:
            (self._object or self._part).start(name, attributes)

    def _start_part(self, name: str) -> None:
        self._part = _IGNORED
        if name == "meta":
            self._part = self.metadata
        elif name in _STYLES:
            self._part = self.margins
        elif name == "body":
            self._part = self.body = body_reader(self._kind, self._flow, self._writer, self._context)

    def _start_object(self, name: str) -> None:
        self._objects += name == "object"
        if self._objects == 1 and self._object is None:
            self._object = EmbeddedObject()

    def end(self, name: str) -> None:
        self._depth -= 1
        if self._depth < 2:
            self._part = _IGNORED
        elif name == "binary-data":
            self._pictures -= 1
        elif self._part is self.body and name in ("object", "document"):
            if name == "object":
                self._end_object()
        else:
            (self._object or self._part).end(name)

    def _end_object(self) -> None:
        self._objects -= 1
        if self._objects or self._object is None:
            return
        lines = self._object.lines(with_values="spreadsheet" not in self._kind)
        self._object = None
        self._context.embedded = lambda _: lines
        self.body.start("object", {})
        self.body.end("object")

    def text(self, text: str) -> None:
        if not self._pictures:
            (self._object or self._part).text(text)


def read_flat_opendocument(file: InputFile, writer: SectionWriter) -> None:
    """Read a flat OpenDocument file; locators are those of the zipped formats."""
    context = OdfContext(with_hidden=file.options.hidden, with_comments=file.options.comments)
    flow = FlowWriter(writer)
    document = _FlatDocument(writer, context, flow)
    file.stream.seek(0)
    parse_xml(file.stream, document, on_block=lambda done: writer.progress(done / max(1, file.size)))
    flow.end()
    for key, value in document.metadata.values.items():
        writer.describe(key, value)
    document.margins.flow.end()
    write_margins(document.body, document.margins.flow.lines, writer)
    warn_hidden(context, writer)
