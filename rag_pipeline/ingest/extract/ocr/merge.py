"""Put the recognised text of a document's scanned pages among its other pages, and mark it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from rag_pipeline.ingest.types import ExtractedDocument, Section, TextQuality, TextWarning

_MAX_WARNINGS = 20
_PAGE = re.compile(r"page (\d+)\b")
_WITHOUT_TEXT = "pages_without_text"


def mark(document: ExtractedDocument) -> ExtractedDocument:
    """Return a document of which all text was recognised, with the warning that says so."""
    pages = len(_pages(document.sections))
    return replace(document, warnings=(_warning(pages), *document.warnings)[:_MAX_WARNINGS])


def merge(document: ExtractedDocument, recognised: ExtractedDocument) -> ExtractedDocument:
    """Add the text of the pages that have none in ``document``; locators give the pages."""
    pages = _pages(document.sections)
    added = [section for section in recognised.sections if _page(section) not in pages]
    count = len(_pages(added))
    if not count:
        return document
    without_text = max(0, (document.quality.pages_without_text or 0) - count)
    kept = [warning for warning in document.warnings if warning.type != _WITHOUT_TEXT]
    others = [warning for warning in recognised.warnings if warning.type != _WITHOUT_TEXT]
    still = [_without_text(without_text, document.quality.pages)] if without_text else []
    return replace(
        document,
        sections=tuple(_in_page_order([*document.sections], added)),
        warnings=(_warning(count), *kept, *still, *others)[:_MAX_WARNINGS],
        quality=_quality(document, recognised, without_text),
    )


def _quality(document: ExtractedDocument, recognised: ExtractedDocument, without_text: int) -> TextQuality:
    parts = (document.quality, recognised.quality)
    characters = sum(part.characters for part in parts)
    odd = sum(part.characters * part.odd_characters for part in parts)
    return replace(
        document.quality,
        characters=characters,
        odd_characters=round(odd / characters, 4) if characters else 0.0,
        pages_without_text=without_text,
    )


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
