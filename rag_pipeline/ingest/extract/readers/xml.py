"""Read XML of any vocabulary: the text of its elements, line by line, and the values in attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TextIO

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.data_uris import is_base64
from rag_pipeline.ingest.extract.entity_repair import EntityRepair
from rag_pipeline.ingest.extract.html_parser import HtmlParser
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.html import write_fragment
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import NotWellFormedError, XmlHandler, parse_xml

_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<\?xml[^>]{0,200}?encoding\s*+=\s*+[\"']([-\w.:]+)", re.I)
_MARKUP = re.compile(r"</?(?:a|b|blockquote|br|div|em|h[1-6]|i|img|li|ol|p|pre|span|strong|table|ul)\b[^<>]*+>", re.I)
# Attributes that serve programs, on elements that hold others.
_FOR_PROGRAMS = frozenset(
    """base class encoding height href id idref lang rel ref schemaLocation space src standalone style type uri url
    version width""".split()  # noqa: SIM905
)
_EMPTY, _PARENT, _WITH_TEXT = "empty", "parent", "with text"
_MAX_TAG = 1000
_BLOCK_CHARACTERS = 1 << 15


class _Text(XmlHandler):
    """Writes a line for each element with text. Elements in the middle of text belong to its line."""

    def __init__(self, writer: SectionWriter) -> None:
        self._writer = writer
        self._line: list[str] = []
        self._attributes: Mapping[str, str] = {}  # of the element just opened
        self._has_text = [False]  # for each open element, whether it has text of its own
        self._between = ""  # white space since the last element ended
        self._ended = False

    def start(self, _name: str, attributes: Mapping[str, str]) -> None:
        self._write_attributes(_PARENT)
        if not self._has_text[-1]:
            self._break_unless_spaced()
        self._has_text.append(False)
        self._attributes = attributes
        self._between, self._ended = "", False

    def end(self, _name: str) -> None:
        self._write_attributes(_EMPTY)
        self._has_text.pop()
        self._between, self._ended = "", True

    def text(self, text: str) -> None:
        if not text.strip():
            self._between += text
            if self._has_text[-1]:
                self._line.append(text)
            return
        self._write_attributes(_WITH_TEXT)
        if self._ended and self._between and not self._has_text[-1]:
            self._line.append(self._between)
        self._between, self._ended = "", False
        self._has_text[-1] = True
        self._line.append(text)

    def close(self) -> None:
        """Write the last line."""
        self._write_attributes(_EMPTY)
        self._break()

    def _write_attributes(self, attributes_of: str) -> None:
        """Write the attributes of the element just opened: more of them if it has no text."""
        attributes, self._attributes = self._attributes, {}
        values = []
        for name, value in attributes.items():
            label, value = name.rpartition(":")[2], " ".join(value.split())
            if not value or "://" in value or name.startswith("xmlns"):
                continue
            if attributes_of == _EMPTY or (attributes_of == _PARENT and label not in _FOR_PROGRAMS):
                values.append(f"{label}: {value}")
            elif " " in value:
                values.append(value)
        if values:
            self._break()
            self._writer.write((" | " if attributes_of != _WITH_TEXT else "\n").join(values) + "\n")

    def _break_unless_spaced(self) -> None:
        """End the line, except at a space between two elements on the same line."""
        if self._ended and self._between and "\n" not in self._between:
            self._line.append(self._between)
        else:
            self._break()

    def _break(self) -> None:
        text = "".join(self._line)
        self._line = []
        if is_base64(text):
            self._writer.warn("left_out", "data in base64 was left out")
        elif _MARKUP.search(text):
            write_fragment(text, self._writer)
        elif lines := [" ".join(line.split()) for line in text.splitlines() if line.strip()]:
            self._writer.write("\n".join(lines) + "\n")


class _Mended:
    """The document as a stream of UTF-8, its references mended."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._repair = EntityRepair()
        self._is_at_end = False
        self.offset = 0
        self.block = b""

    def read(self, _count: int, /) -> bytes:
        """Return the next block of bytes; none at the end."""
        self.offset += len(self.block)
        self.block = b""
        while not self.block and not self._is_at_end:
            text = self._text.read(_BLOCK_CHARACTERS)
            self._is_at_end = not text
            self.block = self._repair.feed(text, is_last=not text).encode("utf-8", "replace")
        return self.block

    def rest(self, offset: int) -> str:
        """Return what follows a byte of the last block, to the end of the document."""
        at = max(0, offset - self.offset)
        tag = self.block.rfind(b"<", max(0, at - _MAX_TAG), at + 1)
        return self.block[tag if tag >= 0 else at :].decode("utf-8", "ignore") + self._repair.feed(
            self._text.read(), is_last=True
        )


class _Flat(HtmlParser):
    """Writes the text between tags, one line each."""

    def __init__(self, writer: SectionWriter) -> None:
        super().__init__()
        self._writer = writer

    def open_tag(self, tag: str, *, is_empty: bool) -> None:
        pass

    def close_tag(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        if text.strip():
            self._writer.write(text.strip() + "\n")


def read_xml(file: InputFile, writer: SectionWriter) -> None:
    """Read an XML file; it has no locators. What follows a fault of the markup is read without its structure."""
    declared = _DECLARED.match(file.read_at(0, 1024))
    text = open_text(file, writer, declared=declared[1].decode("latin-1") if declared else None)
    stream = _Mended(text)
    handler = _Text(writer)
    try:
        parse_xml(
            stream,
            handler,
            on_block=lambda done: writer.progress(min(1.0, done / file.size)),
            allow_entities=True,
            encoding="utf-8",
            has_namespaces=False,
        )
    except NotWellFormedError as error:
        handler.close()
        if writer.is_empty and b"<" not in stream.block:
            raise CorruptFileError(str(error)) from error
        writer.warn("damaged_markup", "the XML is not well formed; the rest was read without its structure")
        rest = _Flat(writer)
        rest.feed(stream.rest(error.offset))
        rest.close()
    else:
        handler.close()
