"""The libraries that ``benchmarks.extraction`` compares: each turns a file into text, in the way its users do it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ReadText = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library: the module that must be installed, the suffixes that it reads, and what makes its reader."""

    name: str
    module: str
    suffixes: frozenset[str]
    load: Callable[[], ReadText]

    @property
    def is_installed(self) -> bool:
        """Whether its module can be found."""
        return find_spec(self.module) is not None


def _ours() -> ReadText:
    from rag_pipeline.ingest.extract import ProcessExtractor

    extractor = ProcessExtractor()

    def read(path: Path) -> str:
        return "\n".join(section.text for section in extractor.extract(str(path)).sections)

    return read


def _pdfium() -> ReadText:
    import pypdfium2

    def read(path: Path) -> str:
        with pypdfium2.PdfDocument(path) as document:
            # A document has no iterator that closes its pages.
            pages = (document[index].get_textpage().get_text_range() for index in range(len(document)))
            return "\n".join(pages)

    return read


def _pypdf() -> ReadText:
    import pypdf

    return lambda path: "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def _docx2python() -> ReadText:
    from docx2python import docx2python

    def read(path: Path) -> str:
        with docx2python(path) as document:
            tables = document.document_runs
            return "\n".join(line for table in tables for row in table for line in _lines(row)) + _notes(document)

    return read


def _lines(row: list[list[list[str]]]) -> Iterable[str]:
    """Return the paragraphs of a single cell, or a table's row as one line."""
    cells = ["\n".join("".join(paragraph) for paragraph in cell) for cell in row]
    return cells if len(cells) == 1 else ["\t".join(" ".join(cell.split()) for cell in cells)]


def _notes(document: Any) -> str:
    parts = (document.footnotes_runs, document.endnotes_runs)
    return "".join("\n" + line for part in parts for table in part for row in table for line in _lines(row))


def _openpyxl() -> ReadText:
    import openpyxl

    def read(path: Path) -> str:
        book = openpyxl.load_workbook(path, data_only=True)
        rows = (row for sheet in book.worksheets for row in sheet.iter_rows(values_only=True))
        return "\n".join("\t".join("" if value is None else str(value) for value in row) for row in rows)

    return read


def _python_pptx() -> ReadText:
    import pptx

    def read(path: Path) -> str:
        lines: list[str] = []
        for slide in pptx.Presentation(str(path)).slides:
            for shape in slide.shapes:
                if shape.has_text_frame:
                    lines.append(shape.text_frame.text)
                elif shape.has_table:
                    lines += ("\t".join(cell.text for cell in row.cells) for row in shape.table.rows)
            if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame):
                lines.append(notes.text)
        return "\n".join(lines)

    return read


def _trafilatura() -> ReadText:
    import trafilatura

    def read(path: Path) -> str:
        return trafilatura.extract(path.read_bytes(), include_comments=False, include_tables=True) or ""

    return read


def _striprtf() -> ReadText:
    from striprtf.striprtf import rtf_to_text

    return lambda path: str(rtf_to_text(path.read_text(encoding="latin-1"), errors="replace"))


def _charset_normalizer() -> ReadText:
    import charset_normalizer

    return lambda path: str(charset_normalizer.from_bytes(path.read_bytes()).best() or "")


def _xberg() -> ReadText:
    import xberg

    def read(path: Path) -> str:
        found = asyncio.run(xberg.extract(xberg.ExtractInput(uri=str(path))))
        if not found.results:
            raise ValueError("; ".join(error.message for error in found.errors))
        return "\n".join(document.content for document in found.results)

    return read


_ALL = frozenset({
    ".csv", ".doc", ".docx", ".eml", ".epub", ".htm", ".html", ".ipynb", ".json", ".mbox", ".md", ".mhtml", ".msg",
    ".odp", ".ods", ".odt", ".pdf", ".ppt", ".pptx", ".rst", ".rtf", ".tsv", ".txt", ".xls", ".xlsx", ".xml",
})  # fmt: skip
PEERS = (
    Peer("ours", "rag_pipeline", _ALL, _ours),
    Peer("pdfium", "pypdfium2", frozenset({".pdf"}), _pdfium),
    Peer("pypdf", "pypdf", frozenset({".pdf"}), _pypdf),
    Peer("docx2python", "docx2python", frozenset({".docx"}), _docx2python),
    Peer("openpyxl", "openpyxl", frozenset({".xlsx"}), _openpyxl),
    Peer("python-pptx", "pptx", frozenset({".pptx"}), _python_pptx),
    Peer("trafilatura", "trafilatura", frozenset({".html", ".htm"}), _trafilatura),
    Peer("striprtf", "striprtf", frozenset({".rtf"}), _striprtf),
    Peer("charset-normalizer", "charset_normalizer", frozenset({".txt"}), _charset_normalizer),
    Peer("xberg", "xberg", _ALL, _xberg),
)
