"""Texts that LibreOffice Writer saves in each of its formats."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.corpus.make.blocks import Block, Box, Text, accepted, truth_of
from tests.corpus.make.flat_odf import flat_odf
from tests.corpus.make.programs import FILES, convert, libreoffice_version, write_truth
from tests.corpus.make.texts import ARTICLE, CONTRACT, HANDBOOK, LANGUAGES

_FORMATS = ("docx", "odt", "rtf", "doc", "pdf", "html", "epub")
_HEADER, _FOOTER = "Travel department", "Page"
# These formats have no pages, so the header and the footer are not in them.
_PAGELESS = ("html", "epub")


def make() -> None:
    """Make all files of this program."""
    program = libreoffice_version()
    may = (
        f"may: {_HEADER} {_FOOTER} 1 2 3 4 Comment by Ann 05 03 2024 March 09 30 AM a b",
        "may: 2024 03 05T09 00 000000000",
    )
    contract = flat_odf(CONTRACT, "Wartungsvertrag", language=("de", "DE"), numbered=True)
    for suffix in _FORMATS:
        # Writer's HTML has comments as comments of HTML, its PDF and EPUB have none.
        commented = suffix not in ("pdf", "html", "epub")
        pages = ("place: page 2 | questions go to the travel desk",) if suffix == "pdf" else ()
        headings = suffix not in ("doc", "rtf")
        # Writer shows struck out text in what it prints.
        blocks = HANDBOOK if commented else accepted(HANDBOOK)
        handbook = flat_odf(blocks, "Travel handbook", header=_HEADER, footer=_FOOTER)
        if suffix == "html":
            # Writer leaves text boxes out of HTML.
            blocks = tuple(block for block in blocks if not isinstance(block, Box))
        lines = truth_of(blocks, comments=commented, headings=headings, more=(*may, *pages))
        lines = _within_epub(lines) if suffix == "epub" else lines
        _save(handbook, f"writer-handbook.{suffix}", lines, program)
        lines = truth_of(CONTRACT, headings=headings, more=("may: 1",))
        lines = _within_epub(lines) if suffix == "epub" else lines
        _save(contract, f"writer-vertrag.{suffix}", lines, program)
    columns = flat_odf(ARTICLE, "Rainwater", columns=2, hyphenate=True, language=("en", "US"), height="12cm")
    _save(columns, "writer-columns.pdf", truth_of(ARTICLE), program)
    _languages(program)


def _within_epub(lines: Sequence[str]) -> list[str]:
    """Return the truth without what Writer leaves out of EPUB: numbers, headings, and the labels of columns."""
    shown = (re.sub(r"^(?:[0-9.]+|[0-9]\.|[ab]\)) ", "", line.removeprefix("heading: ")) for line in lines)
    return [line.replace("head: ", "may: ", 1) if line.startswith("head: ") else line for line in shown]


def _languages(program: str) -> None:
    fonts = {
        "ar": "Noto Sans Arabic", "he": "Noto Sans Hebrew", "hi": "Noto Sans Devanagari", "th": "Noto Sans Thai",
        "zh": "Droid Sans Fallback", "ja": "Droid Sans Fallback", "ko": "NanumGothic",
    }  # fmt: skip
    for language in ("cs", "tr", "el", "ru", *fonts):
        blocks = _paragraphs(LANGUAGES[language])
        direction = "rl-tb" if language in ("ar", "he") else "lr-tb"
        font = fonts.get(language, "Liberation Sans")
        text = flat_odf(blocks, language, language=(language, language.upper()), direction=direction, font=font)
        for suffix in ("pdf", "rtf", "docx") if language in ("cs", "ru", "ar", "hi", "ja") else ("pdf",):
            _save(text, f"writer-{language}.{suffix}", truth_of(blocks), program)


def _paragraphs(texts: Sequence[str]) -> tuple[Block, ...]:
    return tuple(Text(text) for text in texts)


def _save(text: str, name: str, lines: Sequence[str], program: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.fodt"
        source.write_text(text, encoding="utf-8")
        convert(source, name.rpartition(".")[2], name)
    assert (FILES / name).stat().st_size
    write_truth(name, lines, program)
