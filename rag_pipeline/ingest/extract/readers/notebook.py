"""Read Jupyter notebooks (ipynb) of formats 3 and 4: the text, code and text output of their cells."""

from __future__ import annotations

import json
import re
from typing import Any

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.data_uris import without_data_uris
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.readers.html import write_fragment
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.terminal_codes import without_terminal_codes

# What Python prints of an object that shows itself in another form.
_OBJECT = re.compile(r"<[\w.]+(?: object| at 0x)?[^<>\n]{0,200}>")


def read_notebook(file: InputFile, writer: SectionWriter) -> None:
    """Read a notebook; locators are cell numbers, from 1. Pictures are left out."""
    try:
        notebook = json.loads(open_text(file, writer).read().lstrip("\ufeff"))
    except ValueError as error:
        raise CorruptFileError("it is not valid JSON; it may be cut off") from error
    cells = _cells(notebook)
    metadata = notebook.get("metadata")
    if isinstance(metadata, dict):
        writer.describe("title", _joined(metadata.get("title") or metadata.get("name")))
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, dict):
            writer.section(f"cell {number}")
            if cell.get("cell_type") == "heading" and isinstance(level := cell.get("level"), int):
                writer.heading(max(1, min(6, level)), _joined(cell.get("source")))
            else:
                writer.write(_joined(cell.get("source") or cell.get("input")))
            _write_outputs(cell.get("outputs"), writer)
        writer.progress(number / len(cells))


def _cells(notebook: Any) -> list[Any]:
    """Return the cells; format 3 has them in worksheets."""
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if cells is None and isinstance(notebook, dict) and isinstance(sheets := notebook.get("worksheets"), list):
        of_sheets = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        cells = [cell for sheet in of_sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise CorruptFileError("it is JSON without the cells of a notebook")
    return cells


def _write_outputs(outputs: Any, writer: SectionWriter) -> None:
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        found = output.get("data")
        data = found if isinstance(found, dict) else output
        plain = _joined(output.get("text") or data.get("text/plain"))
        if not plain and output.get("ename"):  # an error
            plain = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
        if plain and not _OBJECT.fullmatch(plain.strip()):
            writer.write("\n\n" + without_terminal_codes(plain))
        elif marked := _joined(data.get("text/markdown") or data.get("text/latex") or data.get("latex")):
            writer.write("\n\n" + marked)
        elif page := _joined(data.get("text/html") or data.get("html")):
            writer.write("\n\n")
            write_fragment(page, writer)


def _joined(text: Any) -> str:
    """Return a multi-line string, which notebooks store as a list of lines."""
    if isinstance(text, list):
        text = "".join(line for line in text if isinstance(line, str))
    return without_data_uris(text) if isinstance(text, str) else ""
