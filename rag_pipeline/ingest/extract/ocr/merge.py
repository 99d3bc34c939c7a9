"""Put the recognised text of a document's scanned pages among its other pages, and mark it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from difflib import SequenceMatcher

from rag_pipeline.ingest.extract.clean_text import count_odd
from rag_pipeline.ingest.extract.section_writer import MAX_ODD_SHARE
from rag_pipeline.ingest.types import ExtractedDocument, Section, TextQuality, TextWarning

_MAX_WARNINGS = 20
_PAGE = re.compile(r"page (\d+)\b")
_WITHOUT_TEXT = "pages_without_text"
_NO_LETTER = re.compile(r"[\W_]+")
_SHORT_LINE, _SAME_LETTERS, _ALIKE, _MAX_COMPARED = 6, 3, 0.8, 2_000


def mark(document: ExtractedDocument) -> ExtractedDocument:
    """Return a document of which all text was recognised, with the warning that says so."""
    pages = len(_pages(document.sections))
    return replace(document, warnings=(_warning(pages), *document.warnings)[:_MAX_WARNINGS])


def merge(document: ExtractedDocument, recognised: ExtractedDocument) -> ExtractedDocument:
    """Add the recognised pages to the others of ``document``; locators give the pages.

    A page that is in both has a stamp on a scan, or undecoded letters: its own text stays in front, unless it is
    undecoded, and the lines that OCR read once more are left out.
    """
    if not recognised.sections:
        return document
    pages = _pages(recognised.sections)
    kept = [section for section in document.sections if not (_is_undecoded(section) and _page(section) in pages)]
    own = _texts(kept)
    added = [new for section in recognised.sections if (new := _without_lines_of(own.get(_page(section), ""), section))]
    count = len(_pages(added))
    # A page of which OCR reads no more than its own text, such as a slide on a picture, has all of its text.
    without_text = max(0, (document.quality.pages_without_text or 0) - len(pages))
    warnings = [warning for warning in document.warnings if warning.type != _WITHOUT_TEXT]
    others = [warning for warning in recognised.warnings if warning.type != _WITHOUT_TEXT]
    still = [_without_text(without_text, document.quality.pages)] if without_text else []
    sections = tuple(_in_page_order(kept, added))
    return replace(
        document,
        sections=sections,
        warnings=(*([_warning(count)] if count else []), *warnings, *still, *others)[:_MAX_WARNINGS],
        quality=_quality(document, sections, without_text),
    )


def _is_undecoded(section: Section) -> bool:
    return count_odd(section.text) > MAX_ODD_SHARE * len(section.text)


def _texts(sections: Iterable[Section]) -> dict[int, str]:
    """Return the letters of each page, line by line."""
    texts: dict[int, str] = defaultdict(str)
    for section in sections:
        texts[_page(section)] += "".join(f"\n{_fold(line)}\n" for line in section.text.splitlines())
    return texts


def _without_lines_of(text: str, section: Section) -> Section | None:
    """Return the section without the lines that are in the text already, perhaps with a letter read wrongly."""
    lines = [line for line in section.text.splitlines() if not _is_in(_fold(line), text)] if text else None
    if lines is None:
        return section
    return replace(section, text="\n".join(lines)) if any(map(str.strip, lines)) else None


def _is_in(line: str, text: str) -> bool:
    if len(line) < _SHORT_LINE:
        return f"\n{line}\n" in text
    text = text[:_MAX_COMPARED].replace("\n", "")
    blocks = SequenceMatcher(None, text, line, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks if block.size >= _SAME_LETTERS) > _ALIKE * len(line)


def _fold(text: str) -> str:
    return _NO_LETTER.sub("", text).casefold()


def _quality(document: ExtractedDocument, sections: Iterable[Section], without_text: int) -> TextQuality:
    texts = [section.text for section in sections]
    characters = sum(map(len, texts))
    odd = round(sum(map(count_odd, texts)) / max(1, characters), 4)
    return replace(document.quality, characters=characters, odd_characters=odd, pages_without_text=without_text)


def _in_page_order(sections: list[Section], added: list[Section]) -> list[Section]:
    """Insert each added section before the first section of a later page."""
    keyed: list[tuple[int, Section]] = []
    page = 0
    for section in sections:
        page = max(page, _page(section))  # sections without a page number stay behind their predecessor
        keyed.append((page, section))
    return [section for _, section in sorted([*keyed, *((_page(it), it) for it in added)], key=lambda pair: pair[0])]


def _page(section: Section) -> int:
    match = _PAGE.match(section.locator)
    return int(match[1]) if match else 0


def _pages(sections: Iterable[Section]) -> set[int]:
    return {_page(section) for section in sections}


def _warning(pages: int) -> TextWarning:
    what = f"{pages} pages was recognised from pictures" if pages > 1 else "a page was recognised from a picture"
    return TextWarning("ocr", f"text of {what}", pages)


def _without_text(count: int, pages: int | None) -> TextWarning:
    return TextWarning(_WITHOUT_TEXT, f"{count} of {pages} pages have no text, and OCR found none", count)
