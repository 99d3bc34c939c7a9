"""Read PowerPoint presentations (pptx): slide by slide, each with its speaker notes."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import (
    Relationship,
    describe,
    main_part,
    parts_of_kind,
    read_part,
    read_parts,
    relationships,
)
from rag_pipeline.ingest.extract.readers.drawing import drawing_lines
from rag_pipeline.ingest.extract.readers.slide import Slide
from rag_pipeline.ingest.extract.readers.slide_layout import Box, reading_order
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive


class _SlideList(XmlHandler):
    def __init__(self) -> None:
        self.ids: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sldId":
            # Of two attributes named id, the one in a namespace is the relationship's.
            self.ids.append(next((value for key, value in attributes.items() if key.endswith(" id")), ""))


class _Comments(XmlHandler):
    """Collects the comments on a slide; older and newer ones have different elements."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._in_text = self._in_text or name in ("text", "t")

    def end(self, name: str) -> None:
        if name in ("text", "t"):
            self._in_text = False
        elif name == "p":
            self._pieces.append(" ")
        elif name in ("cm", "reply"):
            text = " ".join("".join(self._pieces).split())
            self._pieces = []
            self.lines += [f"Comment: {text}"] if text else []

    def text(self, text: str) -> None:
        if self._in_text:
            self._pieces.append(text)


def read_powerpoint(file: InputFile, writer: SectionWriter) -> None:
    """Read a pptx file; locators are slide numbers, from 1, in presentation order, with the slides' titles."""
    archive = ZipArchive(file)
    describe(archive, writer)
    presentation = main_part(archive)
    related = relationships(archive, presentation)
    slides = _SlideList()
    parse_xml(archive.open(presentation), slides)
    reader = _SlideReader(file, archive, writer)
    found = [related[identifier] for identifier in slides.ids if identifier in related]
    for number, relation in enumerate(found, start=1):
        reader.read(number, relation)
        writer.progress(number / len(found))


class _SlideReader:
    """Reads slides, each with its notes and comments."""

    def __init__(self, file: InputFile, archive: ZipArchive, writer: SectionWriter) -> None:
        self._options = file.options
        self._archive = archive
        self._writer = writer
        self._layouts: dict[str, dict[tuple[str, str], Box]] = {}

    def read(self, number: int, relation: Relationship) -> None:
        """Read a slide; a hidden one only if the options say so."""
        if relation.part not in self._archive.names:
            self._writer.warn("missing_part", f"slide {number} is missing from the file")
            return
        related = relationships(self._archive, relation.part)
        layouts = parts_of_kind(related, "slideLayout")
        slide = self._slide(related, self._placeholders(layouts[0]) if layouts else {})
        if not read_part(self._archive, relation, slide, self._writer):
            return
        if slide.is_hidden and not self._options.hidden:
            self._writer.warn("hidden_text", "hidden slides are left out")
            return
        self._writer.section(f"slide {number}" + (" (hidden)" if slide.is_hidden else ""))
        self._write(slide)
        for notes in related.values():
            if notes.kind == "notesSlide":
                self._write_notes(notes)
        if self._options.comments:
            comments = _Comments()
            read_parts(self._archive, related, "comments", comments, self._writer)
            self._writer.write("".join(f"{line}\n" for line in comments.lines))

    def _slide(self, related: Mapping[str, Relationship], placeholders: Mapping[tuple[str, str], Box]) -> Slide:
        return Slide(lambda key: drawing_lines(self._archive, related.get(key), self._writer), placeholders)

    def _write(self, slide: Slide) -> None:
        shapes = reading_order(slide.root.shapes)
        titles = [shape for shape in shapes if shape.is_title and shape.lines]
        for shape in titles[:1]:
            self._writer.heading(1, " ".join(shape.lines))
        for shape in shapes:
            if shape.lines and shape not in titles[:1]:
                self._writer.write("\n".join(shape.lines) + "\n")

    def _write_notes(self, relation: Relationship) -> None:
        notes = self._slide(relationships(self._archive, relation.part), {})
        if read_part(self._archive, relation, notes, self._writer):
            lines = [line for shape in reading_order(notes.root.shapes) for line in shape.lines]
            if lines:
                self._writer.write("\n" + "\n".join(lines) + "\n")

    def _placeholders(self, layout: str) -> Mapping[tuple[str, str], Box]:
        """Return the positions that a layout, and the master below it, give to placeholders."""
        found = self._layouts.get(layout)
        if found is None:
            found = self._layouts[layout] = {}
            related = relationships(self._archive, layout)
            masters = parts_of_kind(related, "slideMaster")
            for part in [*masters[:1], layout]:
                slide = Slide()
                if part in self._archive.names and read_part(
                    self._archive, Relationship("slideLayout", part), slide, self._writer
                ):
                    found.update(slide.placeholders)
        return found
