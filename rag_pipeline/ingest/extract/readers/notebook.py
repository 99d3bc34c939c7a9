"""Read Jupyter notebooks (ipynb): the text, code and text output of their cells."""

from __future__ import annotations

import json
from typing import Any

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.charset import open_text
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.section_writer import SectionWriter


def read_notebook(file: InputFile, writer: SectionWriter) -> None:
    """Read a notebook; locators are cell numbers, from 1. Image and HTML outputs are left out."""
    try:
        notebook = json.load(open_text(file))
        cells = notebook["cells"]
        if not isinstance(cells, list):
            raise TypeError("its cells are not a list")
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(f"it is not a notebook ({type(error).__name__}: {error})") from error
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, dict):
            writer.section(f"cell {number}")
            writer.write(_joined(cell.get("source")))
            _write_outputs(cell.get("outputs"), writer)
        writer.progress(number / len(cells))


def _write_outputs(outputs: Any, writer: SectionWriter) -> None:
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        printed = output.get("text") or (data.get("text/plain") if isinstance(data, dict) else None)
        if printed:
            writer.write("\n\n" + _joined(printed))


def _joined(text: Any) -> str:
    """Return a multi-line string, which notebooks store as a list of lines."""
    if isinstance(text, list):
        return "".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""
