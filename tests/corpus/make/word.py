"""Word documents by python-docx, whose template is one that Word made."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import docx
from docx.shared import Cm

from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth

_STEPS = ("Switch off the mains.", "Wait for five minutes.", "Open the cover.")
_ROWS = (
    ("Part", "Number", "Stock"),
    ("Fan", "F-200\nF-210", "4"),
    ("Filter", "", "17"),
    ("Housing", "H-9", "1"),
)


def make() -> None:
    """Make all files of this program."""
    _service(FILES / "docx-service.docx")
    truth = _truth(comments=True)
    write_truth("docx-service.docx", truth, f"python-docx {docx.__version__}")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "writer-service.docx"
        copy.write_bytes((FILES / "docx-service.docx").read_bytes())
        for suffix in ("odt", "rtf", "doc", "pdf"):
            convert(copy, suffix, f"writer-service.{suffix}")
            truth = _truth(comments=suffix != "pdf", headings=suffix not in ("doc", "rtf"))
            write_truth(f"writer-service.{suffix}", truth, libreoffice_version())


def _truth(*, comments: bool, headings: bool = True) -> list[str]:
    heading = "heading: " if headings else ""
    return [
        "may: Comment by Service notes confidential 1 2 3 B Berta python docx 2013 2024 12 23 15",
        "Service of the air conditioner",
        "The device must be serviced once a year, preferably in spring.",
        f"{heading}Steps",
        *(f"{number}. {step}" for number, step in enumerate(_STEPS, start=1)),
        f"{heading}Spare parts",
        "head: Part | Number | Stock",
        *("row: " + " | ".join(" ".join(cell.split()) for cell in row if cell) for row in _ROWS[1:]),
        f"{heading}Nested",
        "Outside left",
        "Inside one",
        "Inside two",
        "Outside right",
        "Bold words in the middle of a sentence stay in the sentence.",
        "fact: Bold words in the middle of a sentence stay in the sentence.",
        *(["anywhere: Ask the manufacturer first"] if comments else []),
    ]


def _service(target: Path) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Service notes"
    document.sections[0].footer.paragraphs[0].text = "confidential"
    document.add_heading("Service of the air conditioner", 0)
    document.add_paragraph("The device must be serviced once a year, preferably in spring.")
    document.add_heading("Steps", 1)
    for step in _STEPS:
        document.add_paragraph(step, style="List Number")
    document.add_heading("Spare parts", 1)
    table = document.add_table(rows=0, cols=3, style="Table Grid")
    for row in _ROWS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            first, *others = text.split("\n")
            cell.text = first
            for other in others:
                cell.add_paragraph(other)
    document.add_heading("Nested", 1)
    outer = document.add_table(rows=1, cols=2, style="Table Grid")
    left, right = outer.rows[0].cells
    left.text, right.text = "Outside left", "Outside right"
    inner = left.add_table(rows=1, cols=2)
    inner.rows[0].cells[0].text, inner.rows[0].cells[1].text = "Inside one", "Inside two"
    inner.columns[0].width = Cm(3)
    last = document.add_paragraph()
    last.add_run("Bold").bold = True
    run = last.add_run(" words in the ")
    last.add_run("middle").italic = True
    last.add_run(" of a sentence stay in the sentence.")
    document.add_comment(run, text="Ask the manufacturer first", author="Berta", initials="B")
    document.core_properties.title = "Service notes"
    document.save(str(target))
