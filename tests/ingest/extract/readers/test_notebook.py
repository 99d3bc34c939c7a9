"""Notebooks."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.errors import CorruptFileError
from tests.ingest.extract.makers import read


def test_cells_and_their_text_outputs_are_read() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": "1 + 1", "outputs": [{"data": {"text/plain": ["2"], "image/png": "xx"}}]},
        {"cell_type": "code", "source": "f()", "outputs": [{"text": "out"}, {"ename": "E"}, 3]},
        "no cell",
    ]
    assert read(json.dumps({"cells": cells}).encode(), "a.ipynb") == [
        ("cell 1", "# Title\nwords"),
        ("cell 2", "1 + 1\n\n2"),
        ("cell 3", "f()\n\nout\n\nE: "),
    ]


def test_format_3_has_worksheets() -> None:
    code = {"cell_type": "code", "input": ["x = 1"], "outputs": [{"output_type": "stream", "text": ["done"]}]}
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Pumps"]},
        {"cell_type": "markdown", "source": "Load."},
        code,
    ]
    notebook = {"nbformat": 3, "metadata": {"name": "x"}, "worksheets": [{"cells": cells}]}
    assert read(json.dumps(notebook).encode(), "a.ipynb") == [
        ("cell 1 › Pumps", "Pumps"),
        ("cell 2", "Load."),
        ("cell 3", "x = 1\n\ndone"),
    ]


def test_embedded_pictures_are_left_out() -> None:
    cell = {"cell_type": "markdown", "source": "![a](data:image/png;base64," + "A" * 400 + ")\nwords"}
    ((_, text),) = read(json.dumps({"cells": [cell]}).encode(), "a.ipynb")
    assert text == "![a]()\nwords"


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"cells": {}}', b"3", b'{"worksheets": 3}'])
def test_other_json_is_damaged(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match=r"^it is JSON without the cells of a notebook$"):
        read(data, "a.ipynb")


@pytest.mark.parametrize("data", [b"{", b'{"cells": [{"source": "a'])
def test_a_notebook_that_is_cut_off_is_damaged(data: bytes) -> None:
    with pytest.raises(CorruptFileError, match=r"^it is not valid JSON; it may be cut off$"):
        read(data, "a.ipynb")


def test_the_colours_of_output_are_left_out() -> None:
    output = "\x1b[32mINFO\x1b[0m loss \x1b[1;38;5;9m0.25\x1b[K \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ done\x1b(B"
    cells = [{"cell_type": "code", "source": "f()", "outputs": [{"text": [output]}]}]
    assert read(json.dumps({"cells": cells}).encode(), "a.ipynb") == [("cell 1", "f()\n\nINFO loss 0.25 link done")]


def test_an_output_that_shows_itself_as_a_page_or_markdown_is_read() -> None:
    table = "<table><tr><td>Valve</td><td>12.50</td></tr></table>"
    outputs = [
        {"data": {"text/html": [table], "text/plain": ["<IPython.core.display.HTML object>"]}},
        {"data": {"text/html": table}},
        {"data": {"text/markdown": "**ninety**", "text/plain": "<IPython.core.display.Markdown object>"}},
        {"data": {"text/html": table, "text/plain": "Valve  12.50"}},
        {"html": table},
    ]
    ((_, text),) = read(
        json.dumps({"cells": [{"cell_type": "code", "source": "f()", "outputs": outputs}]}).encode(), "a.ipynb"
    )
    row = ["Valve", "|", "12.50"]
    assert text.split() == ["f()", *row, *row, "**ninety**", "Valve", "12.50", *row]
