"""The text of objects embedded in an OpenDocument file: charts and formulas."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml
from rag_pipeline.ingest.extract.zip_archive import ZipArchive

_TITLES = frozenset({"title", "subtitle", "footer"})
_FORMULA = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_MAX_ROWS = 2000


class EmbeddedObject(XmlHandler):
    """Collects the titles and values of a chart, or the signs of a formula."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.rows: list[list[str]] = []
        self.formula: list[str] = []
        self._titles = 0
        self._in_cell = False
        self._in_formula = False
        self._pieces: list[str] = []
        self._skipping = 0

    def start(self, name: str, _attributes: Mapping[str, str]) -> None:
        """Start a title, row, cell or sign."""
        if self._skipping or name == "desc":  # the cells that a name was taken from
            self._skipping += 1
        elif name in _TITLES:
            self._titles += 1
            self._pieces = []
        elif name == "table-row":
            self.rows.append([])
        elif name == "table-cell":
            self._in_cell, self._pieces = True, []
        elif name in _FORMULA:
            self._in_formula = True

    def end(self, name: str) -> None:
        """End a title, cell or sign."""
        if self._skipping:
            self._skipping -= 1
        elif name in _TITLES:
            self._titles -= 1
            self.titles.append(" ".join("".join(self._pieces).split()))
        elif name == "table-cell":
            self._in_cell = False
            if self.rows:
                self.rows[-1].append(" ".join("".join(self._pieces).split()))
        elif name == "p":
            self._pieces.append(" ")
        elif name in _FORMULA:
            self._in_formula = False

    def text(self, text: str) -> None:
        """Take a piece of text."""
        if self._skipping:
            return
        if self._titles or self._in_cell:
            self._pieces.append(text)
        elif self._in_formula:
            self.formula.append(text)

    def lines(self, *, with_values: bool) -> list[str]:
        """Return the titles, then the values or only the names of the series."""
        lines = list(filter(None, self.titles))
        names = self.rows[0] if self.rows else []
        if not with_values:
            lines.append(" | ".join(filter(None, names)))
        for row in self.rows[1:_MAX_ROWS] if with_values else ():
            cells = [f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=False)
                     if cell and cell != "NaN"]  # fmt: skip
            lines.append(" | ".join(cells))
        return [line for line in [*lines, " ".join("".join(self.formula).split())] if line]


def object_lines(archive: ZipArchive, link: str, writer: SectionWriter, *, with_values: bool = True) -> list[str]:
    """Return the text of an embedded chart or formula; a missing or damaged one gives a warning."""
    part = posixpath.normpath(posixpath.join(link.removeprefix("./"), "content.xml"))
    if part not in archive.names:
        return []  # an object of another program
    handler = EmbeddedObject()
    try:
        parse_xml(archive.open(part), handler)
    except CorruptFileError as error:
        writer.warn("damaged_part", f"an embedded object is damaged: {error}")
        return []
    return handler.lines(with_values=with_values)
