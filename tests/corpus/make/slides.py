"""Slides by python-pptx, and the same saved by LibreOffice Impress in other formats."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth

_POINTS = ("Ferries leave every twenty minutes", "Bicycles travel free", "Dogs need a ticket")
_ROWS = (("Pier", "Depth", "Opened"), ("North", "8 m", "1974"), ("Süd", "", "1988"), ("Łódź quay", "5 m", "2003"))
_CHART = ("Passengers in thousands", ("North pier", "South pier"), (192, 144))


def make() -> None:
    """Make all files of this program."""
    _kickoff(FILES / "pptx-harbour.pptx")
    write_truth("pptx-harbour.pptx", _truth(notes=True, chart=True), f"python-pptx {pptx.__version__}")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "impress-harbour.pptx"
        copy.write_bytes((FILES / "pptx-harbour.pptx").read_bytes())
        for suffix in ("pptx", "odp", "ppt", "pdf"):
            export = "Impress MS PowerPoint 2007 XML" if suffix == "pptx" else ""
            convert(copy, suffix, f"impress-harbour.{suffix}", export)
            # In .ppt, charts are objects of another program; .odp has them as documents of their own.
            truth = _truth(notes=suffix != "pdf", chart=suffix in ("pptx", "pdf", "odp"), axis=suffix == "pdf")
            write_truth(f"impress-harbour.{suffix}", truth, libreoffice_version())


def _truth(*, notes: bool, chart: bool, axis: bool = False) -> list[str]:
    place = "page" if axis else "slide"
    title, names, values = _CHART
    lines = ["# slide 1", "Harbour ferries", "Plan for the summer season", "# slide 2", "What passengers ask", *_POINTS]
    if notes:
        lines.append("anywhere: Mention the new timetable of June")
    lines += ["# slide 3", "Piers", "head: " + " | ".join(_ROWS[0])]
    lines += ["row: " + " | ".join(cell for cell in row if cell) for row in _ROWS[1:]]
    lines += ["anywhere: Soundings by the survey ship", "anywhere: inside a group"]
    lines += ["# slide 4", "Numbers", f"{'anywhere' if chart else 'may'}: {title} {' '.join(names)}"]
    lines += [f"may: {' '.join(str(value) for value in values)}.0 0 50 100 150 200 250 20 40 60 80 120 140 160 180 2024"]
    lines += [f"place: {place} 2 | Bicycles travel free", "may: slide number 1 2 3 4"]
    return lines


def _kickoff(target: Path) -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = "Harbour ferries"
    first.placeholders[1].text = "Plan for the summer season"
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text = "What passengers ask"
    frame = second.placeholders[1].text_frame
    frame.text = _POINTS[0]
    for point in _POINTS[1:]:
        frame.add_paragraph().text = point
    second.notes_slide.notes_text_frame.text = "Mention the new timetable of June"
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "Piers"
    table = third.shapes.add_table(len(_ROWS), 3, Cm(2), Cm(5), Cm(18), Cm(5)).table
    for row, cells in enumerate(_ROWS):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell
    third.shapes.add_textbox(Cm(2), Cm(13), Cm(10), Cm(1)).text_frame.text = "Soundings by the survey ship"
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(Cm(2), Cm(15), Cm(10), Cm(1)).text_frame.text = "inside a group"
    fourth = deck.slides.add_slide(deck.slide_layouts[5])
    fourth.shapes.title.text = "Numbers"
    title, names, values = _CHART
    data = CategoryChartData()
    data.categories = names
    data.add_series("2024", values)
    chart = fourth.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(2), Cm(5), Cm(18), Cm(10), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = title
    deck.save(target)
