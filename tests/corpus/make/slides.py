"""Slides by python-pptx, and the same saved by LibreOffice Impress in other formats."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.slide import Slide
from pptx.util import Cm

from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth

_POINTS = ("Ferries leave every twenty minutes", "Bicycles travel free", "Dogs need a ticket")
_ROWS = (("Pier", "Depth", "Opened"), ("North", "8 m", "1974"), ("Süd", "", "1988"), ("Łódź quay", "5 m", "2003"))
_CHART = ("Passengers in thousands", ("North pier", "South pier"), (192, 144))


def make() -> None:
    """Make all files of this program."""
    _kickoff(FILES / "pptx-harbour.pptx")
    write_truth("pptx-harbour.pptx", _truth(notes=True), f"python-pptx {pptx.__version__}")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "impress-harbour.pptx"
        _kickoff(copy)
        for suffix in ("odp", "pdf"):
            convert(copy, suffix, f"impress-harbour.{suffix}")
            truth = _truth(notes=suffix != "pdf", axis=suffix == "pdf")
            write_truth(f"impress-harbour.{suffix}", truth, libreoffice_version())
        # Impress writes the layouts of a template of python-pptx anew, several times over.
        small = Path(folder) / "quay.fodp"
        small.write_text(_flat_slides(), encoding="utf-8")
        for suffix in ("pptx", "odp"):
            convert(small, suffix, f"impress-quay.{suffix}")
            write_truth(f"impress-quay.{suffix}", _QUAY, libreoffice_version())


_QUAY = [
    "Der neue Südkai", "Länge 340 Meter", "Tiefe neun Meter", "head: Kran | Last", "row: Nord | 40 t", "row: Süd | 65 t",
    "anywhere: Zahlen vom Bauamt bestätigen lassen", "anywhere: Eröffnung im Mai", "may: 1",
    "place: slide 1 | Länge 340 Meter",
]  # fmt: skip


def _flat_slides() -> str:
    names = {
        "office": "office", "text": "text", "draw": "drawing", "svg": "svg-compatible", "style": "style", "table": "table",
        "presentation": "presentation",
    }  # fmt: skip
    spaces = " ".join(f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{urn}:1.0"' for key, urn in names.items())

    def frame(y: int, content: str, role: str = "") -> str:
        kind = f' presentation:class="{role}"' if role else ""
        return f'<draw:frame svg:x="1cm" svg:y="{y}cm" svg:width="18cm" svg:height="2cm"{kind}>{content}</draw:frame>'

    def box(*lines: str) -> str:
        return f"<draw:text-box>{''.join(f'<text:p>{line}</text:p>' for line in lines)}</draw:text-box>"

    rows = "".join(
        f"<table:table-row>{''.join(f'<table:table-cell><text:p>{cell}</text:p></table:table-cell>' for cell in row)}"
        "</table:table-row>"
        for row in (("Kran", "Last"), ("Nord", "40 t"), ("Süd", "65 t"))
    )
    shapes = (
        frame(1, box("Der neue Südkai"), "title")
        + frame(4, box("Länge 340 Meter", "Tiefe neun Meter"), "outline")
        + frame(9, f'<table:table><table:table-column table:number-columns-repeated="2"/>{rows}</table:table>')
        + frame(14, box("Eröffnung im Mai"))
    )
    notes = f"<presentation:notes>{frame(14, box('Zahlen vom Bauamt bestätigen lassen'), 'notes')}</presentation:notes>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<office:document {spaces} office:version="1.2" '
        'office:mimetype="application/vnd.oasis.opendocument.presentation"><office:automatic-styles>'
        '<style:page-layout style:name="L"><style:page-layout-properties/></style:page-layout></office:automatic-styles>'
        '<office:master-styles><style:master-page style:name="M" style:page-layout-name="L"/></office:master-styles>'
        f'<office:body><office:presentation><draw:page draw:name="1" draw:master-page-name="M">{shapes}{notes}'
        "</draw:page></office:presentation></office:body></office:document>"
    )


def _truth(*, notes: bool, axis: bool = False) -> list[str]:
    """Return the lines; ``axis`` tells that the file shows the chart as a picture, with the numbers of its axis."""
    title, names, values = _CHART
    lines = ["# slide 1", "Harbour ferries", "Plan for the summer season", "# slide 2", "What passengers ask", *_POINTS]
    if notes:
        lines.append("anywhere: Mention the new timetable of June")
    lines += ["# slide 3", "Piers", "head: " + " | ".join(_ROWS[0])]
    lines += ["row: " + " | ".join(cell for cell in row if cell) for row in _ROWS[1:]]
    lines += ["anywhere: Soundings by the survey ship", "anywhere: inside a group", "may: slide number Notes 1 2 3 4"]
    lines.append(f"place: {'page' if axis else 'slide'} 2 | Bicycles travel free")
    lines += ["# slide 4", "Numbers", f"anywhere: {title} {' '.join(names)}", f"may: {title} {' '.join(names)}"]
    shown = " ".join(str(number) for number in range(0, 260, 10)) if axis else ""
    lines.append(f"may: {' '.join(str(value) for value in values)} 0 2024 {shown}")
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
    _add_chart(deck.slides.add_slide(deck.slide_layouts[5]))
    used = {slide.slide_layout.name for slide in deck.slides}
    for layout in list(deck.slide_layouts):
        if layout.name not in used:
            deck.slide_layouts.remove(layout)
    deck.save(str(target))


def _add_chart(slide: Slide) -> None:
    slide.shapes.title.text = "Numbers"
    title, names, values = _CHART
    data = CategoryChartData()
    data.categories = names
    data.add_series("2024", values)
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(2), Cm(5), Cm(18), Cm(10), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = title
