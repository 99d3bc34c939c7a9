"""Read CSV and TSV files."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.sheet_writer import SheetWriter
from rag_pipeline.ingest.extract.section_writer import SectionWriter

_DELIMITERS = ",;\t|"
_MAX_FIELD_CHARACTERS = 1 << 24
_SAMPLE_CHARACTERS, _SAMPLE_LINES = 1 << 14, 50
_SEP_LINE = re.compile(r"\ufeff?\"?sep=([^\r\n\"])\"?\r?\n", re.I)
_QUOTED = re.compile(r'"[^"]*+"')


def read_table(file: InputFile, writer: SectionWriter) -> None:
    """Read a CSV or TSV file; locators are ranges of rows."""
    text = open_text(file, writer)
    sample = text.read(_SAMPLE_CHARACTERS)
    text.seek(0)
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    table = SheetWriter(writer, of_records=True)
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
