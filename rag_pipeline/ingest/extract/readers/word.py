"""Read Word documents (docx): paragraphs and tables under their headings, with notes below their paragraphs."""

from __future__ import annotations

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.opc import Relationship, describe, main_part, read_part, read_parts, relationships
from rag_pipeline.ingest.extract.readers.drawing import drawing_lines
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.word_body import Body, BodyContext, Notes
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_NOTES = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}


def read_word(file: InputFile, writer: SectionWriter) -> None:
    """Read a docx file; locators are paths of headings. Deleted and hidden text is left out unless asked for."""
    archive = ZipArchive(file)
    describe(archive, writer)
    document = main_part(archive)
    related = relationships(archive, document)
    context = BodyContext(with_hidden=file.options.hidden)
    read_parts(archive, related, "styles", context.styles, writer)
    read_parts(archive, related, "numbering", context.numbering, writer)
    for kind, element in _NOTES.items():
        if kind != "comments" or file.options.comments:
            read_parts(archive, related, kind, Notes(element, context), writer)
    context.drawing = lambda identifier: drawing_lines(archive, related.get(identifier), writer)
    size = archive.size(document) or 1
    flow = FlowWriter(writer)
    parse_xml(archive.open(document), Body(flow, context), on_block=lambda done: writer.progress(done / size))
    flow.end()
    _write_unused_notes(context, writer)
    _write_margins(archive, list(related.values()), context, writer)
    if context.hidden:
        writer.warn("hidden_text", "hidden words are left out")
    if embedded := sum(relation.kind == "aFChunk" for relation in related.values()):
        writer.warn("left_out", "documents embedded in it are left out", embedded)


def _write_unused_notes(context: BodyContext, writer: SectionWriter) -> None:
    """Write the notes to which no text refers, by kind."""
    for kind, element in _NOTES.items():
        lines = [line for key, note in context.notes.items() if key[0] == element and key not in context.used
                 for line in note]  # fmt: skip
        if lines:
            writer.section(kind)
            writer.write("\n".join(lines) + "\n")


def _write_margins(
    archive: ZipArchive, related: list[Relationship], context: BodyContext, writer: SectionWriter
) -> None:
    """Write headers and footers, each text once however many sections and kinds of pages have it."""
    seen: set[str] = set()
    for kind in ("header", "footer"):
        lines: list[str] = []
        for relation in related:
            if relation.kind == kind:
                flow = FlowWriter(None)
                if read_part(archive, relation, Body(flow, context), writer):
                    flow.end()
                    lines += flow.lines
        new = [line for line in dict.fromkeys(lines) if any(char.isalpha() for char in line) and line not in seen]
        seen.update(new)
        if new:
            writer.section(kind)
            writer.write("\n".join(new) + "\n")
