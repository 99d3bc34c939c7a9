"""Read PowerPoint presentations (pptx): slide by slide, each with its speaker notes."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import main_part, parts_of_kind, relationships
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

# Placeholders without the author's text: slide numbers, dates, headers and footers.
_IGNORED_PLACEHOLDERS = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})


class _SlideList(XmlHandler):
    def __init__(self) -> None:
        self.ids: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sldId":
            # Of two attributes named id, the one in a namespace is the relationship's.
            self.ids.append(next((value for key, value in attributes.items() if key.endswith(" id")), ""))


class _Shapes(XmlHandler):
    """Writes the paragraphs of a slide's shapes and tables."""

    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer
        self._in_text = False
        self._is_ignored = False
        self._skipping = 0
        self._in_cell = False
        self._first_in_row = True

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._skipping or name == "Fallback":
            self._skipping += 1
        elif name == "ph":
            self._is_ignored = attribute(attributes, "type") in _IGNORED_PLACEHOLDERS
        elif name == "t":
            self._in_text = True
        elif name == "br":
            self._writer.write("\n")
        elif name == "tr":
            self._first_in_row = True
        elif name == "tc":
            if not self._first_in_row:
                self._writer.write("| ")
            self._first_in_row = False
            self._in_cell = True

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p":
            self._writer.write(" " if self._in_cell else "\n")
        elif name == "sp":
            self._is_ignored = False
        elif name == "tc":
            self._in_cell = False
        elif name == "tr":
            self._writer.write("\n")

    def text(self, text: str) -> None:
        if self._in_text and not self._is_ignored:
            self._writer.write(text)


def read_powerpoint(file: InputFile, writer: SectionWriter) -> None:
    """Read a pptx file; locators are slide numbers, from 1, in presentation order."""
    archive = ZipArchive(file)
    presentation = main_part(archive)
    related = relationships(archive, presentation)
    slides = _SlideList()
    parse_xml(archive.open(presentation), slides)
    parts = [related[identifier].part for identifier in slides.ids if identifier in related]
    for number, part in enumerate(parts, start=1):
        writer.section(f"slide {number}")
        if part not in archive.names:
            writer.warn("missing_part", f"slide {number} is missing from the file")
            continue
        parse_xml(archive.open(part), _Shapes(writer))
        for notes in parts_of_kind(relationships(archive, part), "notesSlide"):
            if notes in archive.names:
                writer.write("\n")
                parse_xml(archive.open(notes), _Shapes(writer))
        writer.progress(number / len(parts))
