"""Read XML of any vocabulary: the text of its elements, line by line."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml


class _Text(XmlHandler):
    """Writes each piece of text on its own line."""

    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer

    def start(self, _name: str, attributes: Mapping[str, str]) -> None:
        for value in attributes.values():
            # Attributes with spaces are prose, such as titles; others are ids and numbers.
            if " " in value.strip() and "://" not in value:
                self._writer.write(value + "\n")

    def text(self, text: str) -> None:
        if text.strip():
            self._writer.write(text if text.endswith("\n") else text + "\n")


def read_xml(file: InputFile, writer: SectionWriter) -> None:
    """Read an XML file; it has no locators."""
    parse_xml(
        file.stream,
        _Text(writer),
        on_block=lambda done: writer.progress(done / file.size),
        allow_entities=True,
    )
