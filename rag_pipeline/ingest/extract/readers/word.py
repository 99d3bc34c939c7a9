"""Read Word documents (docx): paragraphs and tables under their headings, then footnotes and endnotes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import main_part, parts_of_kind, relationships
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_HEADING_NAME = re.compile(r"heading ([1-9])$", re.I)
_BODY_LEVEL = 9  # the outline level of body text
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


class _ParagraphStyles(XmlHandler):
    """Finds heading styles by name and outline level; style ids are translated in some languages."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._style = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        value = attribute(attributes, "val") or ""
        if name == "style":
            self._style = attribute(attributes, "styleId") or ""
        elif name == "name" and (match := _HEADING_NAME.match(value)):
            self.levels[self._style] = int(match[1])
        elif name == "name" and value.lower() == "title":
            self.levels[self._style] = 0
        elif name == "outlineLvl" and self._style and value.isdecimal() and int(value) < _BODY_LEVEL:
            self.levels.setdefault(self._style, int(value) + 1)


class _Body(XmlHandler):
    """Writes paragraphs; each paragraph with a heading style starts a section."""

    def __init__(self, writer: SectionWriter, levels: Mapping[str, int]) -> None:
        self._writer = writer
        self._levels = levels
        self._skipping = 0
        self._in_text = False
        self._in_properties = 0
        self._level: int | None = None
        self._paragraph: list[str] = []
        self._outer: list[tuple[list[str], int | None]] = []
        self._cell_depth = 0
        self._first_in_row = True

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        # A drawing is stored twice: for current programs, and as a fallback for old ones.
        if self._skipping or name == "Fallback":
            self._skipping += 1
        elif name == "p":
            # Text boxes nest paragraphs inside paragraphs.
            self._outer.append((self._paragraph, self._level))
            self._paragraph, self._level = [], None
        elif name == "pPr":
            self._in_properties += 1
        elif name == "pStyle":
            self._level = self._levels.get(attribute(attributes, "val") or "")
        elif name == "outlineLvl" and self._in_properties:
            level = attribute(attributes, "val") or ""
            self._level = int(level) + 1 if level.isdecimal() and int(level) < _BODY_LEVEL else None
        elif name == "t":
            self._in_text = True
        elif name in _CHARACTERS and not self._in_properties:
            self._paragraph.append(_CHARACTERS[name])
        elif name == "tc":
            self._cell_depth += 1
            if not self._first_in_row:
                self._writer.write(" | ")
            self._first_in_row = False
        elif name == "tr":
            self._first_in_row = True

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif name == "t":
            self._in_text = False
        elif name == "pPr":
            self._in_properties -= 1
        elif name == "p" and self._outer:
            self._end_paragraph()
            self._paragraph, self._level = self._outer.pop()
        elif name == "tc":
            self._cell_depth -= 1
        elif name in ("tr", "tbl"):
            self._writer.write("\n")

    def text(self, text: str) -> None:
        if self._in_text:
            self._paragraph.append(text)

    def _end_paragraph(self) -> None:
        text = "".join(self._paragraph)
        if self._cell_depth:
            self._writer.write(text.strip() + " " if text.strip() else "")
        elif self._level is not None and text.strip():
            self._writer.heading(self._level, text)
        else:
            self._writer.write(text + "\n")


def read_word(file: InputFile, writer: SectionWriter) -> None:
    """Read a docx file; locators are paths of headings. Headers, footers, comments and deleted text are left out."""
    archive = ZipArchive(file)
    document = main_part(archive)
    related = relationships(archive, document)
    styles = _ParagraphStyles()
    for part in parts_of_kind(related, "styles"):
        if part in archive.names:
            parse_xml(archive.open(part), styles)
    size = archive.size(document) or 1
    parse_xml(archive.open(document), _Body(writer, styles.levels), on_block=lambda done: writer.progress(done / size))
    for kind in ("footnotes", "endnotes"):
        for part in parts_of_kind(related, kind):
            if part in archive.names:
                writer.section(kind)
                parse_xml(archive.open(part), _Body(writer, {}))
