"""Read Word documents of the format before 2007 (doc)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.ole_container import OleContainer
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers.flow import FlowWriter
from rag_pipeline.ingest.extract.readers.rtf_layout import RtfLayout
from rag_pipeline.ingest.extract.readers.word_fib import NOTE_TABLES, WordFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_CELL, _PARAGRAPH, _PAGE, _COLUMN = "\x07", "\r", "\x0c", "\x0e"
_FIELD_START, _FIELD_MIDDLE, _FIELD_END = "\x13", "\x14", "\x15"
_REPLACED = {"\x0b": "\n", "\x1e": "-", "\x1f": "", "\x01": "", "\x02": "", "\x05": "", "\x08": "", "\x28": "(",
             "\xa0": " ", "\x00": ""}  # fmt: skip
_NOT_SHOWN = re.compile("[^\x13-\x15]")
_ENDS = frozenset({_CELL, _PARAGRAPH, _PAGE, _COLUMN})


def read_word_binary(file: InputFile, writer: SectionWriter) -> None:
    """Read a doc file; locators are paths of headings. Deleted and hidden text is left out unless asked for."""
    container = OleContainer(file)
    for key, value in container.properties().items():
        writer.describe(key, value)
    tables = {number: container.read(f"{number}Table") for number in (0, 1) if container.has(f"{number}Table")}
    document = WordFile(container.read("WordDocument"), tables)
    _DocumentReader(document, file.options, writer).read()


class _DocumentReader:
    """Passes paragraphs, cells and notes of a document to a flow writer."""

    def __init__(self, document: WordFile, options: ReadOptions, writer: SectionWriter) -> None:
        self._document = document
        self._options = options
        self._writer = writer
        self._hidden = 0

    def read(self) -> None:
        """Read the body with its notes, then text boxes, headers and footers."""
        notes = self._notes()
        flow = FlowWriter(self._writer)
        self._read_part("body", flow, notes)
        flow.end()
        for name, title in (("box", "text boxes"), ("header", "headers and footers")):
            part = FlowWriter(None)
            self._read_part(name, part, {})
            part.end()
            lines = [line for line in dict.fromkeys(part.lines) if any(char.isalpha() for char in line)]
            if lines:
                self._writer.section(title)
                self._writer.write("\n".join(lines) + "\n")
        if self._hidden:
            self._writer.warn("hidden_text", "hidden words are left out")

    def _notes(self) -> dict[int, list[str]]:
        """Return the notes by the character that refers to them."""
        found: dict[int, list[str]] = {}
        for kind, (references, texts) in NOTE_TABLES.items():
            if self._document.is_old or (kind == "comment" and not self._options.comments):
                continue
            start, end = self._document.part(kind)
            entry_bytes = 30 if kind == "comment" else 2
            places = self._document.positions(references, entry_bytes)[:-1]
            starts = self._document.positions(texts, 0)
            for place, first, last in zip(places, starts, starts[1:], strict=False):
                flow = FlowWriter(None)
                self._read_range(start + max(first, 0), min(start + last, end), flow, {})
                flow.end()
                lines = [line.strip() for line in flow.lines if line.strip()]
                if lines:
                    lines[0] = f"{kind.capitalize()}: {lines[0]}"
                    found.setdefault(place, []).extend(lines)
        return found

    def _read_part(self, name: str, flow: FlowWriter, notes: dict[int, list[str]]) -> None:
        self._read_range(*self._document.part(name), flow, notes)

    def _read_range(self, start: int, end: int, flow: FlowWriter, notes: dict[int, list[str]]) -> None:
        layout = RtfLayout(flow)
        fields: list[bool] = []  # for each open field, whether its result has started
        position = start
        counted, label = -1, ""
        anchors = deque(sorted(place for place in notes if start <= place < end))
        for text, place, mark in self._runs(start, end):
            while anchors and anchors[0] < position + len(text):
                flow.add_after(notes[anchors.popleft()])
            position += len(text)
            paragraph = self._document.paragraph(place)
            layout.level, layout.depth = paragraph.level, int(paragraph.in_table)
            if paragraph.start != counted and not paragraph.ends_row:
                counted = paragraph.start
                label = self._document.lists.label(paragraph.values)
            if text == _CELL:
                self._end_cell(layout, ends_row=paragraph.ends_row)
            elif text in _ENDS:
                layout.end_paragraph()
            elif text == _FIELD_START:
                fields.append(False)
            elif text == _FIELD_MIDDLE and fields:
                fields[-1] = True
            elif text == _FIELD_END and fields:
                fields.pop()
            elif all(fields):
                shown = "".join(_REPLACED.get(char, char) for char in text)
                if label and shown.strip():
                    layout.text(label + " ")
                    label = ""
                layout.text(f"[{mark}: {shown}]" if mark and shown.strip() else shown)
        layout.end_open()

    def _end_cell(self, layout: RtfLayout, *, ends_row: bool) -> None:
        if self._document.is_old:  # where rows end is not known
            layout.text(" | ")
        elif ends_row:
            layout.end_row()
        else:
            layout.end_cell()

    def _runs(self, start: int, end: int) -> Iterator[tuple[str, int, str]]:
        """Yield runs of text of one kind, with the place of their first byte and a mark if they are not shown."""
        for text, place, width in self._document.text(start, end):
            at = 0
            while at < len(text):
                offset = place + at * width
                hidden, deleted, until = self._document.is_left_out(offset)
                run = text[at : at + max(1, (until - offset) // width)]
                at += len(run)
                mark = "deleted" if deleted else "hidden" if hidden else ""
                if mark and not self._options.hidden:
                    self._hidden += hidden and not deleted
                    run = _NOT_SHOWN.sub("\0", run)  # keeps the positions of what follows
                for piece in _split(run):
                    yield piece, offset, mark
                    offset += len(piece) * width


def _split(run: str) -> Iterator[str]:
    """Split a run at its control characters, which become pieces of their own."""
    start = 0
    for at, char in enumerate(run):
        if char in _ENDS or char in "\x13\x14\x15":
            if at > start:
                yield run[start:at]
            yield char
            start = at + 1
    if start < len(run):
        yield run[start:]
