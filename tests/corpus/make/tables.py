"""CSV files by Python's csv module and LibreOffice Calc, and notebooks of an old format."""

from __future__ import annotations

import csv
import io
import json
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth

_PROGRAM = f"Python's csv package, {platform.python_version()}"
_ROWS = (
    ("Straße", "Ort", "Miete", "Bemerkung"),
    ("Hafenstraße 3", "Köln", "1250", "mit Balkon; ruhig"),
    ("Ulica Długa 7", "Łódź", "640", "dwa pokoje"),
    ("Rue de l'Évêché 12", "Nîmes", "780", 'dit "le nid"'),
)
_LATIN = (
    ("Straße", "Ort", "Miete", "Bemerkung"),
    ("Hafenstraße 3", "Köln", "1250", "mit Balkon; ruhig"),
    ("Rue de l'Évêché 12", "Nîmes", "780", "deux pièces"),
)


def make() -> None:
    """Make all files of this program."""
    _save("table-utf8.csv", _ROWS, "utf-8", ",")
    _save("table-bom-semicolon.csv", _ROWS, "utf-8-sig", ";")
    _save("table-cp1252-semicolon.csv", _LATIN, "cp1252", ";")
    _save("table-utf16.tsv", _ROWS, "utf-16", "\t")
    _save("table-sep-line.csv", _ROWS, "utf-8-sig", ";", before="sep=;\r\n")
    _save("table-title.csv", _ROWS, "utf-8", ",", before="Flats to let in May\r\n\r\n", truth=("Flats to let in May",))
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "stock.ods"
        copy.write_bytes((FILES / "calc-stock.ods").read_bytes())
        # Comma, double quotes, UTF-8.
        convert(copy, "csv", "calc-stock.csv", "Text - txt - csv (StarCalc):44,34,76")
    stock = (FILES / "calc-stock.ods.truth.txt").read_text(encoding="utf-8").splitlines()[1:]
    kept = [line.replace("anywhere: Takes", "may: Takes") for line in stock]
    write_truth("calc-stock.csv", kept, libreoffice_version())
    _notebook()


def _truth(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    return ["head: " + " | ".join(rows[0]), *("row: " + " | ".join(row) for row in rows[1:])]


def _save(
    name: str,
    rows: tuple[tuple[str, ...], ...],
    encoding: str,
    delimiter: str,
    *,
    before: str = "",
    truth: tuple[str, ...] = (),
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    (FILES / name).write_bytes((before + text.getvalue()).encode(encoding))
    labelled = " | ".join(f"{label}: {cell}" for label, cell in zip(rows[0], rows[1], strict=True))
    write_truth(name, [*truth, *_truth(rows), f"fact: {labelled}", "may: sep"], _PROGRAM)


def _notebook() -> None:
    """A notebook of format 3, whose cells are in worksheets."""
    cells = [
        {"cell_type": "heading", "level": 1, "source": ["Tides"], "metadata": {}},
        {"cell_type": "markdown", "source": ["The gauge measures ", "the *water level*."], "metadata": {}},
        {
            "cell_type": "code", "input": ["print(level)"], "language": "python", "metadata": {}, "collapsed": False,
            "outputs": [{"output_type": "stream", "stream": "stdout", "text": ["412\n"]}], "prompt_number": 1,
        },
    ]  # fmt: skip
    book = {
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }
    (FILES / "notebook-format3.ipynb").write_text(json.dumps(book, indent=1), encoding="utf-8")
    truth = ["Tides", "The gauge measures the water level.", "print(level)", "412"]
    write_truth("notebook-format3.ipynb", truth, f"Python's json package, {platform.python_version()}")
