"""Read CSV and TSV files, and write the rows of spreadsheets."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.table_layout import TableLayout, TableLine

BLOCK_CHARACTERS = 2000
_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 1 << 24
_SAMPLE_CHARACTERS, _SAMPLE_LINES = 1 << 14, 50
_SEP_LINE = re.compile(r"\ufeff?\"?sep=([^\r\n\"])\"?\r?\n", re.I)
_QUOTED = re.compile(r'"[^"]*+"')


class TableWriter:
    """Writes rows so that each is clear by itself: ``Region: North | Sales: 120``.

    Rows are labelled by :class:`~rag_pipeline.ingest.extract.table_layout.TableLayout` where their header is sure.
    Sections have about 2,000 characters and locators such as ``sheet Budget, rows 2-40``.
    """

    def __init__(self, writer: SectionWriter, locator: str = "", *, of_records: bool = False) -> None:
        self._writer = writer
        self._prefix = f"{locator}, " if locator else ""
        self._layout = TableLayout(of_records=of_records)
        self._lines: list[str] = []
        self._characters = 0
        self._first = self._last = 0

    def row(self, number: int, cells: Sequence[str]) -> None:
        """Add the next row; ``number`` counts from 1, and a gap in the numbers counts as a blank row."""
        for line in self._layout.row(number, cells):
            self._add(line)

    def end(self) -> None:
        """Write the pending rows as a section."""
        for line in self._layout.end():
            self._add(line)
        self._end_section()

    def _add(self, line: TableLine) -> None:
        if not self._lines:
            self._first = line.number
        self._last = line.number
        self._lines.append(line.text)
        self._characters += len(line.text)
        if line.lacks_labels:
            self._writer.warn("unlabelled_rows", "rows without labels: no header was found")
        if self._characters >= BLOCK_CHARACTERS:
            self._end_section()

    def _end_section(self) -> None:
        if not self._lines:
            return
        rows = f"row {self._first}" if self._first == self._last else f"rows {self._first}-{self._last}"
        self._writer.section(self._prefix + rows)
        self._writer.write("\n".join(self._lines) + "\n")
        self._lines = []
        self._characters = 0


def read_table(file: InputFile, writer: SectionWriter) -> None:
    """Read a CSV or TSV file; locators are ranges of rows."""
    text = open_text(file, writer)
    sample = text.read(_SAMPLE_CHARACTERS)
    text.seek(0)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    table = TableWriter(writer, of_records=True)
    declared = _SEP_LINE.match(sample)
    delimiter = declared[1] if declared else _delimiter(sample, file)
    try:
        for number, row in enumerate(csv.reader(_without_nul(text), delimiter=delimiter), start=1):
            if not (declared and number == 1):
                table.row(number, row)
            if number % 256 == 0:
                writer.progress(file.stream.tell() / file.size)
    except csv.Error as error:
        raise CorruptFileError(str(error)) from error
    table.end()


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield line.replace("\x00", "")


def _delimiter(sample: str, file: InputFile) -> str:
    """Return the delimiter: a tab for TSV, else the one that divides most lines into equally many cells."""
    if file.extension in ("tsv", "tab"):
        return "\t"
    lines = [line for line in _QUOTED.sub("", sample).splitlines() if line.strip()][:_SAMPLE_LINES]

    def evidence(delimiter: str) -> tuple[int, int]:
        counts = Counter(count for line in lines if (count := line.count(delimiter)))
        number, most = max(((most, count) for count, most in counts.items()), default=(0, 0))
        return number, most

    return max(_DELIMITERS, key=evidence)
