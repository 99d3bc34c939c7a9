"""The parts of an Excel workbook beside its sheets: the list of sheets, shared strings, styles, comments, drawings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rag_pipeline.ingest.extract.readers.drawing import drawing_ids
from rag_pipeline.ingest.extract.readers.number_format import NumberFormat, built_in_format, parse_format
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, attribute

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_RANGE = re.compile(r"[A-Z]{1,3}([0-9]{1,7}):[A-Z]{1,3}([0-9]{1,7})")
_MAX_TABLES = 500
_TRUE = frozenset({"1", "true", "on"})
# Excel puts this before each comment of a thread, for programs that don't know threads.
_THREAD_NOTICE = "[Threaded comment]"


def is_true(value: str | None) -> bool:
    """Return whether the value of an attribute means true."""
    return value in _TRUE


def decode_escapes(text: str) -> str:
    """Replace escapes such as ``_x000D_``, by which Excel writes characters that XML does not allow."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet in the workbook's list: its title, the id of its relationship, and whether it is hidden."""

    title: str
    relation: str
    hidden: bool


class Workbook(XmlHandler):
    """Collects the sheets, and whether dates count from 1904."""

    def __init__(self) -> None:
        self.sheets: list[SheetEntry] = []
        self.from_1904 = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a sheet or a property."""
        if name == "sheet":
            # Of several attributes named id, the one in a namespace is the relationship's.
            relation = next((value for key, value in attributes.items() if key.endswith(" id")), "")
            hidden = (attribute(attributes, "state") or "visible") != "visible"
            self.sheets.append(SheetEntry(attribute(attributes, "name") or "", relation, hidden))
        elif name == "workbookPr":
            self.from_1904 = is_true(attribute(attributes, "date1904"))


class SharedStrings(XmlHandler):
    """Collects the shared strings, which cells refer to by index."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False
        self._phonetic = 0

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        """Start a string's text, except for the readings of Japanese words."""
        if name == "t":
            self._in_text = not self._phonetic
        elif name == "rPh":
            self._phonetic += 1

    def end(self, name: str) -> None:
        """End a text or a string."""
        if name == "t":
            self._in_text = False
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.strings.append(decode_escapes("".join(self._pieces)))
            self._pieces = []

    def text(self, text: str) -> None:
        """Take a piece of a string."""
        if self._in_text:
            self._pieces.append(text)


class CellStyles(XmlHandler):
    """Collects the number format of each cell style."""

    def __init__(self) -> None:
        self.formats: list[NumberFormat] = []
        self._codes: dict[str, str] = {}
        self._in_cell_styles = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a number format or a style."""
        if name == "numFmt":
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self._in_cell_styles = True
        elif name == "xf" and self._in_cell_styles:
            identifier = attributes.get("numFmtId", "0")
            code = self._codes.get(identifier)
            if code is not None:
                self.formats.append(parse_format(code))
            else:
                self.formats.append(built_in_format(int(identifier) if identifier.isdecimal() else 0))

    def end(self, name: str) -> None:
        """End the list of styles."""
        if name == "cellXfs":
            self._in_cell_styles = False


class Comments(XmlHandler):
    """Collects the comments on a sheet's cells, by the cell's reference; those in threads replace others."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._threads: set[str] = set()
        self._reference = ""
        self._pieces: list[str] = []
        self._in_text = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a comment or its text."""
        if name in ("comment", "threadedComment"):
            self._reference = attribute(attributes, "ref") or ""
            self._pieces = []
        elif name in ("t", "text"):
            self._in_text = True

    def end(self, name: str) -> None:
        """End a text or a comment."""
        if name in ("t", "text"):
            self._in_text = False
        elif name in ("comment", "threadedComment"):
            text = decode_escapes("".join(self._pieces)).strip()
            if name == "threadedComment" and self._reference not in self._threads:
                self._threads.add(self._reference)
                self.texts.pop(self._reference, None)
            is_copy = name == "comment" and (self._reference in self._threads or text.startswith(_THREAD_NOTICE))
            if text and not is_copy:
                self.texts.setdefault(self._reference, []).append(" ".join(text.split()))

    def text(self, text: str) -> None:
        """Take a piece of a comment."""
        if self._in_text:
            self._pieces.append(text)


class Drawing(XmlHandler):
    """Collects the text of the shapes that lie on a sheet, and the ids of its charts and SmartArt."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.relations: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False
        self._skipping = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Start a text, or take a reference."""
        if self._skipping or name == "Fallback":
            self._skipping += 1
        elif name == "t":
            self._in_text = True
        elif name == "br":
            self._pieces.append(" ")
        elif relation := drawing_ids(name, attributes):
            self.relations.append(relation)

    def end(self, name: str) -> None:
        """End a text or a paragraph."""
        if self._skipping:
            self._skipping -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p":
            self.lines.append("".join(self._pieces))
            self._pieces = []

    def text(self, text: str) -> None:
        """Take a piece of a paragraph."""
        if self._in_text:
            self._pieces.append(text)


class TableParts(XmlHandler):
    """Collects the first and the last row of the tables of a sheet (ListObjects), and the rows of their headers."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.header_rows: set[int] = set()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the range of a table."""
        found = _RANGE.fullmatch(attributes.get("ref", "")) if name == "table" else None
        if found and len(self.ranges) < _MAX_TABLES:
            self.ranges.append((int(found[1]), int(found[2])))
            if attributes.get("headerRowCount", "1") != "0":
                self.header_rows.add(int(found[1]))

    def last_rows(self) -> frozenset[int]:
        """Return the rows below which no table goes on: tables may stand side by side."""
        return frozenset(
            last for _, last in self.ranges if not any(top <= last < bottom for top, bottom in self.ranges)
        )
