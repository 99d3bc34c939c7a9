"""Read CSV and TSV files, and write the rows of spreadsheets."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter

BLOCK_CHARACTERS = 2000
_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 1 << 24
_NUMBER = re.compile(r"[-+(]?[$€£]?\s*+[0-9][0-9.,\s%)-]*+$")
_QUOTED = re.compile(r'"[^"]*+"')


class TableWriter:
    """Writes rows so that each is clear by itself: ``Region: North | Sales: 120``.

    The first row names the columns if it looks like a header; else rows are written unlabelled. Sections have about
    2,000 characters and locators such as ``sheet Budget, rows 2-40``.
    """

    def __init__(self, writer: SectionWriter, locator: str = "") -> None:
        self._writer = writer
        self._prefix = f"{locator}, " if locator else ""
        self._header: list[str] | None = None
        self._seen_row = False
        self._lines: list[str] = []
        self._characters = 0
        self._first = self._last = 0

    def row(self, number: int, cells: Sequence[str]) -> None:
        """Add the next row; ``number`` counts from 1."""
        cells = [" ".join(cell.split()) for cell in cells]
        if not any(cells):
            return
        if not self._seen_row:
            self._seen_row = True
            if _names_columns(cells):
                self._header = cells
        elif self._header:
            cells = [self._label(index) + cell if cell else "" for index, cell in enumerate(cells)]
        line = " | ".join(cell for cell in cells if cell)
        if not self._lines:
            self._first = number
        self._last = number
        self._lines.append(line)
        self._characters += len(line)
        if self._characters >= BLOCK_CHARACTERS:
            self.end()

    def _label(self, index: int) -> str:
        assert self._header is not None
        return f"{self._header[index]}: " if index < len(self._header) and self._header[index] else ""

    def end(self) -> None:
        """Write the pending rows as a section."""
        if not self._lines:
            return
        rows = f"row {self._first}" if self._first == self._last else f"rows {self._first}-{self._last}"
        self._writer.section(self._prefix + rows)
        self._writer.write("\n".join(self._lines) + "\n")
        self._lines = []
        self._characters = 0


def _names_columns(cells: Sequence[str]) -> bool:
    names = [cell for cell in cells if cell]
    return (
        len(names) >= 2
        and len(set(names)) == len(names)
        and not any(_NUMBER.match(name) or len(name) > 60 for name in names)
    )


def read_table(file: InputFile, writer: SectionWriter) -> None:
    """Read a CSV or TSV file; locators are ranges of rows. The header is row 1."""
    text = open_text(file)
    sample = text.read(1 << 14)
    text.seek(0)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    table = TableWriter(writer)
    try:
        for number, row in enumerate(csv.reader(text, delimiter=_delimiter(sample, file)), start=1):
            table.row(number, row)
            if number % 256 == 0:
                writer.progress(file.stream.tell() / file.size)
    except csv.Error as error:
        raise CorruptFileError(str(error)) from error
    table.end()


def _delimiter(sample: str, file: InputFile) -> str:
    """Return the delimiter: a tab for TSV, else the most frequent candidate in the first line."""
    if file.extension == "tsv":
        return "\t"
    first = next((line for line in sample.splitlines() if line.strip()), "")
    first = _QUOTED.sub("", first)
    return max(_DELIMITERS, key=first.count)
