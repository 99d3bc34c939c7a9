"""Merging of recognised pages into a document."""

from __future__ import annotations

from rag_pipeline.ingest.extract.ocr.merge import mark, merge
from rag_pipeline.ingest.types import ExtractedDocument, Section, TextQuality, TextWarning

_MISSING = TextWarning("pages_without_text", "2 of 4 pages have no text (scanned?)", 2)
_OTHER = TextWarning("odd_characters", "some characters could not be decoded", 3)


def document(sections: list[tuple[str, str]], without_text: int, *warnings: TextWarning) -> ExtractedDocument:
    quality = TextQuality(sum(len(text) for _, text in sections), 0.0, 4, without_text)
    return ExtractedDocument(
        tuple(Section(text, locator) for locator, text in sections), "application/pdf", warnings, quality
    )


_TYPED = document([("page 1", "one"), ("page 1 › Leave", "leave"), ("page 3", "three"), ("notes", "n")], 2, _MISSING)


def test_recognised_pages_go_to_their_places() -> None:
    merged = merge(_TYPED, document([("page 2", "two"), ("page 4", "four")], 0, _OTHER))
    assert [section.text for section in merged.sections] == ["one", "leave", "two", "three", "n", "four"]
    assert merged.warnings == (TextWarning("ocr", "text of 2 pages was recognised from pictures", 2), _OTHER)
    assert merged.quality == TextQuality(len("oneleavethreentwofour"), 0.0, 4, 0)


def test_a_stamp_stays_and_what_ocr_adds_comes_after_it() -> None:
    stamped = document([("page 1", "Received on 6 May 2024\n1"), ("page 2", "two")], 1, _MISSING)
    merged = merge(stamped, document([("page 1", "Received on 6 May 2O24\nDear Ms Example,\n1")], 0))
    assert [section.text for section in merged.sections] == ["Received on 6 May 2024\n1", "Dear Ms Example,", "two"]
    assert [warning.type for warning in merged.warnings] == ["ocr"]


def test_a_page_of_which_ocr_reads_no_more_has_text() -> None:
    merged = merge(document([("page 1", "Harbour plan")], 1, _MISSING), document([("page 1", "Harbour plan")], 0))
    assert [section.text for section in merged.sections] == ["Harbour plan"]
    assert (merged.warnings, merged.quality.pages_without_text) == ((), 0)


def test_undecoded_letters_are_replaced() -> None:
    undecoded = document([("page 1", "\ufffd\ufffd \ufffd mean\ufffd"), ("page 2", "two")], 1, _MISSING)
    merged = merge(undecoded, document([("page 1", "What it means")], 0))
    assert [section.text for section in merged.sections] == ["What it means", "two"]
    assert merged.quality.odd_characters == 0


def test_nothing_recognised_changes_nothing() -> None:
    assert merge(_TYPED, document([], 2)) is _TYPED


def test_pages_that_still_have_no_text_are_counted() -> None:
    merged = merge(_TYPED, document([("page 4", "four")], 1))
    assert merged.quality.pages_without_text == 1
    assert [(warning.type, warning.count) for warning in merged.warnings] == [("ocr", 1), ("pages_without_text", 1)]
    assert "1 of 4 pages have no text, and OCR found none" in merged.warnings[1].message


def test_a_picture_is_marked() -> None:
    assert mark(document([("", "text")], 0)).warnings[0].message == "text of a page was recognised from a picture"
