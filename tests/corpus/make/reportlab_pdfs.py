"""PDF files by ReportLab: tables, an outline, fonts that are not embedded, a form, a scanned page, encryption."""

from __future__ import annotations

from io import BytesIO

import reportlab
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

from tests.corpus.make.programs import FILES, write_truth
from tests.corpus.make.texts import LANGUAGES

_PROGRAM = f"ReportLab {reportlab.Version}"
_LOANS = (
    ("Loan", "Term", "Rate"),
    ("Mortgage for private homes", "20 years", "3.9 %"),
    ("Car", "5 years", "6.1 %"),
    ("Short term", "6 months", "9.25 %"),
)


def make_reportlab() -> None:
    """Make all files of this program."""
    _loans()
    _unembedded()
    _form()
    _scanned()
    _encrypted()


def _loans() -> None:
    styles = getSampleStyleSheet()
    name = "reportlab-loans.pdf"
    rows = [[Paragraph(cell, styles["Normal"]) for cell in row] for row in _LOANS]
    grid = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)]
    story = [
        Paragraph("Loans and their prices", styles["Title"]),
        Paragraph("The bank reviews its rates on the first day of each quarter.", styles["Normal"]),
        Paragraph("Private customers", styles["Heading1"]),
        Table(rows, colWidths=[90, 90, 60], style=grid),
        Spacer(1, 12),
        PageBreak(),
        Paragraph("Companies", styles["Heading1"]),
        Paragraph("Rates for companies are agreed one by one; the minimum is five percent.", styles["Normal"]),
    ]

    def decorate(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.drawString(60, A4[1] - 40, "Harbour Bank")
        canvas.drawRightString(A4[0] - 60, 30, f"Page {document.page} of 2")

    SimpleDocTemplate(str(FILES / name), pagesize=A4, invariant=1).build(story, decorate, decorate)
    truth = [
        "may: Harbour Bank Page 1 of 2", "heading: Loans and their prices",
        "The bank reviews its rates on the first day of each quarter.", "heading: Private customers",
        "head: " + " | ".join(_LOANS[0]), *("row: " + " | ".join(row) for row in _LOANS[1:]), "heading: Companies",
        "Rates for companies are agreed one by one; the minimum is five percent.",
        "place: page 2 | the minimum is five percent",
    ]  # fmt: skip
    write_truth(name, truth, _PROGRAM)


def _unembedded() -> None:
    """Chinese, Japanese and Korean in fonts that the reader must have: the file has only character codes."""
    fonts = {"ja": "HeiseiMin-W3", "zh": "STSong-Light", "zh-Hant": "MSung-Light", "ko": "HYSMyeongJo-Medium"}
    for language, font in fonts.items():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
        name = f"reportlab-{language}.pdf"
        canvas = Canvas(str(FILES / name), pagesize=A4, invariant=1)
        canvas.setFont(font, 10)
        for number, text in enumerate(LANGUAGES[language]):
            canvas.drawString(60, 760 - 20 * number, text)
        canvas.save()
        write_truth(name, LANGUAGES[language], _PROGRAM)


def _form() -> None:
    name = "reportlab-form.pdf"
    canvas = Canvas(str(FILES / name), pagesize=A4, invariant=1)
    canvas.drawString(60, 760, "Application for a berth")
    canvas.drawString(60, 720, "Owner of the boat:")
    canvas.drawString(60, 690, "Length in metres:")
    canvas.drawString(60, 660, "Harbour:")
    form = canvas.acroForm
    form.textfield(name="owner", value="Ingrid Solberg", x=200, y=712, width=200, height=20)
    form.textfield(name="length", value="11.4", x=200, y=682, width=200, height=20)
    form.choice(name="harbour", value="Bergen", options=["Bergen", "Stavanger"], x=200, y=652, width=200, height=20)
    canvas.save()
    truth = [
        "Application for a berth", "anywhere: Owner of the boat:", "anywhere: Ingrid Solberg",
        "anywhere: Length in metres:", "anywhere: 11.4", "anywhere: Harbour:", "anywhere: Bergen",
        "may: owner length harbour",
    ]  # fmt: skip
    write_truth(name, truth, _PROGRAM)


def _scanned() -> None:
    name = "reportlab-scanned.pdf"
    canvas = Canvas(str(FILES / name), pagesize=A4, invariant=1)
    canvas.drawString(60, 760, "The first page has been typed, the second one was scanned.")
    canvas.showPage()
    canvas.drawImage(ImageReader(_scan()), 60, 500, 480, 200)
    canvas.save()
    truth = [
        "The first page has been typed, the second one was scanned.",
        "may: Scanned letter of the insurance company",
        "warning: pages_without_text",
    ]
    write_truth(name, truth, _PROGRAM)


def _scan() -> BytesIO:
    image = Image.new("L", (960, 400), 245)
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf", 32)
    ImageDraw.Draw(image).text((40, 60), "Scanned letter of the insurance company", fill=20, font=font)
    packed = BytesIO()
    image.rotate(0.7, fillcolor=245).save(packed, "JPEG", quality=40)
    packed.seek(0)
    return packed


def _encrypted() -> None:
    """A file that opens without a password, but must not be printed."""
    name = "reportlab-no-printing.pdf"
    lock = StandardEncryption("", ownerPassword="harbour", canPrint=0, strength=128)
    canvas = Canvas(str(FILES / name), pagesize=A4, encrypt=lock, invariant=1)
    canvas.drawString(60, 760, "Minutes of the board: the crane is sold for ninety thousand euros.")
    canvas.save()
    write_truth(name, ["Minutes of the board: the crane is sold for ninety thousand euros."], _PROGRAM)
