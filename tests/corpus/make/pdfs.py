"""PDF files by many programs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from tests.corpus.make.blocks import Heading, Text, truth_of
from tests.corpus.make.programs import FILES, print_page, run, version, write_truth
from tests.corpus.make.reportlab_pdfs import make_reportlab
from tests.corpus.make.texts import ARTICLE, LANGUAGES

_TARIFF = (
    ("Zone", "Adults", "Children"),
    ("Inner city", "2.40", "1.20"),
    ("Suburbs", "3.60", "1.80"),
    ("Airport express", "8.00", "4.00"),
)
_TARIFF_TRUTH = ["head: " + " | ".join(_TARIFF[0]), *("row: " + " | ".join(row) for row in _TARIFF[1:])]


def make() -> None:
    """Make all files of this program."""
    _groff()
    _chromium()
    _cairo()
    _ghostscript()
    _fpdf()
    _latex()
    make_reportlab()


def _groff() -> None:
    program = version("groff", "--version")
    source = [".nr PS 10", ".pl 5i", ".nr LL 6.5i", ".nr HM 0.8i", ".2C"]
    for block in ARTICLE:
        if isinstance(block, Heading):
            source += [".SH", block.text]
        elif isinstance(block, Text):
            source += [".PP", block.text]
    text = "\n".join(source) + "\n"
    # The page's number is at its top.
    truth = truth_of(ARTICLE, headings=False, more=("may: - 1 2 -",))
    pdf = subprocess.run(["groff", "-ms", "-Tpdf"], input=text.encode(), capture_output=True, check=True)
    (FILES / "groff-columns.pdf").write_bytes(pdf.stdout)
    write_truth("groff-columns.pdf", truth, program)
    script = subprocess.run(["groff", "-ms", "-Tps"], input=text.encode(), capture_output=True, check=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "columns.ps"
        path.write_bytes(script.stdout)
        run("ps2pdf", path, FILES / "groff-ps2pdf-columns.pdf")
    write_truth("groff-ps2pdf-columns.pdf", truth, f"{program}, ps2pdf {version('gs', '--version')}")


_PAGE = """<!DOCTYPE html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: {font}; font-size: 11pt }} td, th {{ border: 1px solid; padding: 4px }}</style></head>
<body>{body}</body></html>"""


def _chromium() -> None:
    program = " ".join(version("chromium", "--version").split()[:2])
    rows = "".join(
        "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip(_TARIFF, ("th", "td", "td", "td"), strict=True)
    )
    body = (
        f"<h1>Tariff from May</h1><p>Tickets are valid for ninety minutes.</p><table>{rows}</table>"
        "<h2>Fines</h2><ol><li>Without a ticket: sixty euros.</li><li>With a forged one: the police is called.</li></ol>"
        '<p style="break-before: page">Next page: season tickets are sold at the central station only.</p>'
    )
    truth = [
        "heading: Tariff from May", "Tickets are valid for ninety minutes.", *_TARIFF_TRUTH, "heading: Fines",
        "1. Without a ticket: sixty euros.", "2. With a forged one: the police is called.",
        "Next page: season tickets are sold at the central station only.", "place: page 2 | season tickets are sold",
    ]  # fmt: skip
    _print("chromium-tariff.pdf", "en", "Liberation Sans", body, truth, program)
    fonts = {
        "de": "Liberation Serif", "pl": "DejaVu Sans", "vi": "DejaVu Serif", "el": "DejaVu Serif", "ru": "Liberation Serif",
        "ar": "Noto Sans Arabic", "he": "Noto Sans Hebrew", "hi": "Noto Sans Devanagari", "th": "Noto Sans Thai",
        "zh": "Droid Sans Fallback", "ja": "Droid Sans Fallback", "ko": "NanumGothic",
    }  # fmt: skip
    for language, font in fonts.items():
        body = "".join(f"<p>{escape(text)}</p>" for text in LANGUAGES[language])
        _print(f"chromium-{language}.pdf", language, font, body, list(LANGUAGES[language]), program)


def _print(name: str, language: str, font: str, body: str, truth: list[str], program: str) -> None:
    direction = "rtl" if language in ("ar", "he") else "ltr"
    with TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        text = _PAGE.format(language=language, direction=direction, font=font, title="Page", body=body)
        page.write_text(text, encoding="utf-8")
        print_page(page, FILES / name)
    write_truth(name, truth, program)


def _cairo() -> None:
    lines = [(40, 60 + 18 * n, text) for n, text in enumerate(LANGUAGES["cs"] + LANGUAGES["el"] + LANGUAGES["ru"])]
    cells = [
        (40 + 160 * column, 230 + 20 * row, cell)
        for row, cells in enumerate(_TARIFF)
        for column, cell in enumerate(cells)
    ]
    texts = "".join(f'<text x="{x}" y="{y}">{escape(text)}</text>' for x, y, text in lines + cells)
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="400" font-family="DejaVu Sans" font-size="11">'
        f"{texts}</svg>"
    )
    with TemporaryDirectory() as folder:
        source = Path(folder) / "sheet.svg"
        source.write_text(picture, encoding="utf-8")
        run("rsvg-convert", "-f", "pdf", "-o", FILES / "cairo-sheet.pdf", source)
    write_truth("cairo-sheet.pdf", [text for _, _, text in lines] + _TARIFF_TRUTH, version("rsvg-convert", "--version"))


def _ghostscript() -> None:
    program = f"Ghostscript {version('gs', '--version')}"
    for name in ("writer-handbook", "writer-ru"):
        target = name.replace("writer", "ghostscript")
        run(
            "gs",
            "-q",
            "-dBATCH",
            "-dNOPAUSE",
            "-sDEVICE=pdfwrite",
            "-o",
            FILES / f"{target}.pdf",
            FILES / f"{name}.pdf",
        )
        truth = (FILES / f"{name}.pdf.truth.txt").read_text(encoding="utf-8").splitlines()[1:]
        write_truth(f"{target}.pdf", truth, program)


def _fpdf() -> None:
    import fpdf

    pdf = fpdf.FPDF()
    pdf.add_page()
    pdf.add_font("DejaVu", fname="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    pdf.set_font("DejaVu", size=18)
    pdf.start_section("Öffnungszeiten")
    pdf.cell(text="Öffnungszeiten", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("DejaVu", size=10)
    truth = ["heading: Öffnungszeiten"]
    for language in ("de", "tr", "pl"):
        for text in LANGUAGES[language]:
            pdf.multi_cell(0, text=text, new_x="LMARGIN", new_y="NEXT")
            truth.append(text)
    with pdf.table(headings_style=fpdf.FontFace()) as table:
        for row in _TARIFF:
            cells = table.row()
            for cell in row:
                cells.cell(cell)
    pdf.output(str(FILES / "fpdf2-hours.pdf"))
    write_truth("fpdf2-hours.pdf", truth + _TARIFF_TRUTH, f"fpdf2 {fpdf.__version__}")


_LATEX = r"""\documentclass[twocolumn,10pt]{article}
\usepackage[utf8]{inputenc}\usepackage[paperheight=14cm,paperwidth=15cm,margin=1.5cm]{geometry}
\begin{document}
%s
\begin{tabular}{lrr}
%s
\end{tabular}
\end{document}
"""


def _latex() -> None:
    body = [
        rf"\section{{{b.text}}}" if isinstance(b, Heading) else f"{b.text}\n\n"
        for b in ARTICLE
        if isinstance(b, Heading | Text)
    ]
    body.append("The final official efficiency of the affected offices is difficult to find.")
    rows = "\n".join(" & ".join(row) + r" \\" for row in _TARIFF)
    with TemporaryDirectory() as folder:
        (Path(folder) / "article.tex").write_text(_LATEX % ("\n".join(body), rows), encoding="utf-8")
        run("pdflatex", "-interaction=batchmode", "-output-directory", folder, Path(folder) / "article.tex")
        (FILES / "latex-article.pdf").write_bytes((Path(folder) / "article.pdf").read_bytes())
    numbers = iter("123")
    truth = [
        f"{next(numbers)} {b.text}" if isinstance(b, Heading) else b.text
        for b in ARTICLE
        if isinstance(b, Heading | Text)
    ]
    truth += [
        "The final official efficiency of the affected offices is difficult to find.",
        *_TARIFF_TRUTH,
        "may: 1 2 3",
    ]
    write_truth("latex-article.pdf", truth, version("pdflatex", "--version"))
