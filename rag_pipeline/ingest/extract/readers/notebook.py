"""Read Jupyter notebooks (ipynb) of formats 3 and 4: the text, code and text output of their cells."""

from __future__ import annotations

import json
from typing import Any

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.data_uris import without_data_uris
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter


def read_notebook(file: InputFile, writer: SectionWriter) -> None:
    """Read a notebook; locators are cell numbers, from 1. Pictures are left out."""
    try:
        notebook = json.loads(open_text(file, writer).read().lstrip("\ufeff"))
        cells = _cells(notebook)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(f"it is not a notebook ({type(error).__name__}: {error})") from error
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
    cells = (
        [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        if "cells" not in notebook and "worksheets" in notebook
        else notebook["cells"]
    )
    if not isinstance(cells, list):
        raise TypeError("its cells are not a list")
    return cells


def _write_outputs(outputs: Any, writer: SectionWriter) -> None:
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        printed = output.get("text") or (
            data.get("text/plain") or data.get("text/markdown") if isinstance(data, dict) else None
        )
        if not printed and output.get("ename"):  # an error
            printed = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
        if text := _joined(printed):
            writer.write("\n\n" + text)


def _joined(text: Any) -> str:
    """Return a multi-line string, which notebooks store as a list of lines."""
    if isinstance(text, list):
        text = "".join(line for line in text if isinstance(line, str))
    return without_data_uris(text) if isinstance(text, str) else ""
