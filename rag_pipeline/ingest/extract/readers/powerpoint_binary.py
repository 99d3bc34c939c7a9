"""Read PowerPoint presentations of the format before 2007 (ppt): slide by slide, each with its speaker notes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from rag_pipeline.errors import CorruptFileError, EncryptedFileError, UnsupportedFileTypeError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.ole_container import OleContainer
from rag_pipeline.ingest.extract.readers.powerpoint_records import Record, RecordStream, current_edit
from rag_pipeline.ingest.extract.readers.slide_layout import Box, Shape, reading_order
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_STREAM = "PowerPoint Document"
_LIST, _PERSIST, _SLIDE_INFO, _SLIDE, _NOTES = 4080, 1011, 1017, 1006, 1008
_HEADER, _CHARS, _BYTES, _REFERENCE = 3999, 4000, 4008, 3998
_GROUP, _SHAPE, _TEXTBOX, _ANCHOR, _CHILD_ANCHOR = 0xF003, 0xF004, 0xF00D, 0xF010, 0xF00F
_COMMENT, _STRING = 12000, 4026
_SLIDES, _NOTES_LIST = 0, 2  # instances of a list
_TITLES = frozenset({0, 6})
_NOTES_TEXT = 2
_MAX_DEPTH = 50
_PLACEHOLDER_MARK = "*"  # stands for dates and numbers in headers and footers


@dataclass(slots=True)
class _Text:
    kind: int
    text: str = ""


@dataclass(slots=True)
class _Entry:
    """A slide in the list: its object, its id, and the texts that its placeholders refer to."""

    reference: int
    identifier: int
    texts: list[_Text] = field(default_factory=list)


def read_powerpoint_binary(file: InputFile, writer: SectionWriter) -> None:
    """Read a ppt file; locators are slide numbers, from 1, with the slides' titles."""
    container = OleContainer(file)
    for key, value in container.properties().items():
        writer.describe(key, value)
    if not container.has("Current User"):
        raise UnsupportedFileTypeError("is a PowerPoint presentation of a version before 97, which is not read")
    edit, is_encrypted = current_edit(container.read("Current User"))
    if is_encrypted:
        raise EncryptedFileError("is encrypted; a password is needed")
    try:
        _Presentation(RecordStream(container.read(_STREAM)), edit, file, writer).read()
    except struct.error as error:
        raise CorruptFileError("it has a record that is too short") from error


class _Presentation:
    """Writes the slides of a presentation."""

    def __init__(self, stream: RecordStream, edit: int, file: InputFile, writer: SectionWriter) -> None:
        self._stream = stream
        self._options = file.options
        self._writer = writer
        self._places, document = stream.objects(edit)
        root = stream.record(self._places.get(document, -1))
        if root is None:
            raise CorruptFileError("its document is missing")
        self._slides = self._list(root, _SLIDES)
        self._notes = {entry.identifier: entry for entry in self._list(root, _NOTES_LIST)}

    def _list(self, root: Record, instance: int) -> list[_Entry]:
        entries: list[_Entry] = []
        for container in self._stream.children(root):
            if container.kind != _LIST or container.instance != instance:
                continue
            for record in self._stream.children(container):
                if record.kind == _PERSIST and record.end - record.start >= 16:
                    reference, _, _, identifier = struct.unpack_from("<IIII", self._stream.data, record.start)
                    entries.append(_Entry(reference, identifier))
                elif entries:
                    self._take_text(record, entries[-1].texts)
        return entries

    def _take_text(self, record: Record, texts: list[_Text]) -> None:
        content = self._stream.content(record)
        if record.kind == _HEADER:
            texts.append(_Text(int.from_bytes(content[:4], "little")))
        elif record.kind == _CHARS and texts:
            texts[-1].text = content.decode("utf-16-le", "replace")
        elif record.kind == _BYTES and texts:
            texts[-1].text = content.decode("latin-1")

    def read(self) -> None:
        """Write slide by slide."""
        for number, entry in enumerate(self._slides, start=1):
            slide = self._stream.record(self._places.get(entry.reference, -1))
            if slide is None or slide.kind != _SLIDE:
                self._writer.warn("missing_part", f"slide {number} is missing from the file")
                continue
            self._read_slide(number, slide, entry)
            self._writer.progress(number / len(self._slides))

    def _read_slide(self, number: int, slide: Record, entry: _Entry) -> None:
        info = next((record for record in self._stream.children(slide) if record.kind == _SLIDE_INFO), None)
        is_hidden = info is not None and bool(self._stream.content(info)[10:11].ljust(1, b"\0")[0] & 4)
        if is_hidden and not self._options.hidden:
            self._writer.warn("hidden_text", "hidden slides are left out")
            return
        self._writer.section(f"slide {number}" + (" (hidden)" if is_hidden else ""))
        shapes = reading_order(self._shapes(slide, entry.texts))
        title = next((shape for shape in shapes if shape.is_title and shape.lines), None)
        if title is not None:
            self._writer.heading(1, " ".join(title.lines))
        lines = [line for shape in shapes if shape is not title for line in shape.lines]
        lines += self._comments(slide)
        notes = self._note_lines(slide)
        self._writer.write("".join(f"{line}\n" for line in [*lines, *([""] if notes else []), *notes]))

    def _note_lines(self, slide: Record) -> list[str]:
        atom = next(self._stream.children(slide), None)
        if atom is None or atom.end - atom.start < 20:
            return []
        (identifier,) = struct.unpack_from("<I", self._stream.data, atom.start + 16)
        entry = self._notes.get(identifier)
        notes = self._stream.record(self._places.get(entry.reference, -1)) if entry else None
        if entry is None or notes is None or notes.kind != _NOTES:
            return []
        shapes = reading_order(self._shapes(notes, entry.texts, only=_NOTES_TEXT))
        return [line for shape in shapes for line in shape.lines]

    def _comments(self, slide: Record) -> list[str]:
        if not self._options.comments:
            return []
        comments = (record for record in self._walk(slide, 0) if record.kind == _COMMENT)
        texts = []
        for comment in comments:
            strings = {record.instance: self._stream.content(record).decode("utf-16-le", "replace")
                       for record in self._stream.children(comment) if record.kind == _STRING}  # fmt: skip
            text = " ".join(strings.get(1, "").split())
            texts += [f"Comment by {strings.get(0, '')}: {text}".replace(" by :", ":")] if text else []
        return texts

    def _walk(self, parent: Record, depth: int) -> Iterator[Record]:
        for record in self._stream.children(parent):
            yield record
            if record.is_container and depth < _MAX_DEPTH:
                yield from self._walk(record, depth + 1)

    def _shapes(self, slide: Record, texts: list[_Text], only: int | None = None) -> list[Shape]:
        found = (self._shape(record, texts, only) for record in self._walk(slide, 0) if record.kind == _SHAPE)
        return [shape for shape in found if shape.lines]

    def _shape(self, record: Record, texts: list[_Text], only: int | None) -> Shape:
        shape = Shape()
        for child in self._stream.children(record):
            if child.kind == _ANCHOR:
                shape.box = _box(self._stream.content(child))
            elif child.kind == _TEXTBOX:
                self._read_text(child, shape, texts, only)
        return shape

    def _read_text(self, textbox: Record, shape: Shape, texts: list[_Text], only: int | None) -> None:
        found: list[_Text] = []
        for record in self._stream.children(textbox):
            if record.kind == _REFERENCE:
                index = int.from_bytes(self._stream.content(record)[:4], "little")
                found += texts[index : index + 1]
            else:
                self._take_text(record, found)
        for text in found:
            if only is None or text.kind == only:
                lines = text.text.replace("\v", "\r").split("\r")
                shape.lines += [line for line in lines if line.strip() and line.strip() != _PLACEHOLDER_MARK]
                shape.is_title = shape.is_title or text.kind in _TITLES


def _box(content: bytes) -> Box | None:
    if len(content) >= 16:
        top, left, right, bottom = struct.unpack_from("<4i", content)
    elif len(content) >= 8:
        top, left, right, bottom = struct.unpack_from("<4h", content)
    else:
        return None
    return Box(left, top, right, bottom)
