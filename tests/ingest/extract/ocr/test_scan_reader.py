"""Files read through the extractor and, where it finds no text, through OCR in a confined process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from rag_pipeline.errors import (
    EmptyFileError,
    ExtractionLimitError,
    UnreadableTextError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract import ProcessExtractor
from rag_pipeline.ingest.extract.ocr.installed import OcrMode
from rag_pipeline.ingest.extract.ocr.scan_reader import LIMITS, ScanReader
from rag_pipeline.ingest.types import ExtractedDocument, ProgressCallback, Section, TextQuality, TextWarning
from tests.ingest.extract.ocr.scans import draw, needs_ocr, save_pdf


class _Result:
    """An extractor with a fixed result."""

    def __init__(self, result: ExtractedDocument | Exception) -> None:
        self._result = result

    def extract(
        self, path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def close(self) -> None:
        """Do nothing."""


_HALF = ExtractedDocument(
    (Section("typed", "page 1"),),
    "application/pdf",
    (TextWarning("pages_without_text", "1 of 2 pages have no text (scanned?)"),),
    TextQuality(5, 0.0, 2, 1),
)


def read(scans: ScanReader, extractor: ProcessExtractor | _Result, path: Path) -> tuple[ExtractedDocument, list[str]]:
    events: list[str] = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        document = scans.read(
            extractor,
            str(path),
            descriptor,
            on_progress=lambda fraction: events.append(f"{fraction:g}"),
            on_ocr=lambda: events.append("ocr"),
        )
    finally:
        os.close(descriptor)
    return document, events


def test_messages_say_how_to_turn_ocr_on(tmp_path: Path, extractor: ProcessExtractor) -> None:
    scans = ScanReader(OcrMode.OFF)
    draw("text").save(picture := tmp_path / "a.png")
    with pytest.raises(UnsupportedFileTypeError, match=r"a\.png is a PNG image.*; set RAG_OCR=auto to read it"):
        read(scans, extractor, picture)
    with pytest.raises(EmptyFileError, match=r"a\.pdf has no text.*; set RAG_OCR=auto to read it"):
        read(scans, extractor, save_pdf(tmp_path / "a.pdf", draw("text")))
    document, events = read(scans, _Result(_HALF), tmp_path / "a.pdf")
    assert document.warnings[0].message == (
        "1 of 2 pages have no text (scanned?); set RAG_OCR=auto to read it with OCR"
    )
    assert events == []


def test_other_files_and_errors_pass_unchanged(tmp_path: Path, extractor: ProcessExtractor) -> None:
    scans = ScanReader(OcrMode.OFF)
    (path := tmp_path / "a.bin").write_bytes(bytes(range(256)))
    with pytest.raises(UnsupportedFileTypeError, match=r"unknown type$"):
        read(scans, extractor, path)
    (path := tmp_path / "a.txt").write_text("plain text")
    assert read(scans, extractor, path)[0].sections[0].text == "plain text"
    scans.close()


@pytest.fixture(scope="module")
def scans() -> Iterator[ScanReader]:
    scans = ScanReader(OcrMode.ON)
    yield scans
    scans.close()


@needs_ocr
@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_a_picture_is_read(scans: ScanReader, extractor: ProcessExtractor, tmp_path: Path, suffix: str) -> None:
    draw("The invoice number is 4711.").save(path := tmp_path / f"a.{suffix}")
    document, events = read(scans, extractor, path)
    assert [section.text for section in document.sections] == ["The invoice number is 4711."]
    assert document.warnings == (TextWarning("ocr", "text of a page was recognised from a picture"),)
    assert "ocr" in events
    assert events[-1] == "1"


@needs_ocr
@pytest.mark.slow
def test_scanned_pages_are_read_and_others_are_not(
    scans: ScanReader, extractor: ProcessExtractor, tmp_path: Path
) -> None:
    path = save_pdf(tmp_path / "a.pdf", draw("First page"), draw("Second page"))
    document, _ = read(scans, extractor, path)
    assert [(section.locator, section.text) for section in document.sections] == [
        ("page 1", "First page"), ("page 2", "Second page"),
    ]  # fmt: skip
    assert document.warnings[0].message == "text of 2 pages was recognised from pictures"
    document, events = read(scans, _Result(_HALF), path)
    assert [section.text for section in document.sections] == ["typed", "First page", "Second page"]
    assert (document.quality.pages_without_text, events[0]) == (0, "ocr")


@needs_ocr
@pytest.mark.slow
def test_a_pdf_of_undecoded_letters_is_recognised_or_fails_as_before(scans: ScanReader, tmp_path: Path) -> None:
    garbage = _Result(UnreadableTextError("a.pdf has unreadable text"))
    document, _ = read(scans, garbage, save_pdf(tmp_path / "a.pdf", draw("First page")))
    assert document.sections[0].text == "First page"
    with pytest.raises(UnreadableTextError, match="has unreadable text"):
        read(scans, garbage, save_pdf(tmp_path / "b.pdf", Image.new("RGB", (200, 200), "white")))


@needs_ocr
@pytest.mark.slow
def test_a_page_that_fails_costs_no_other_page(scans: ScanReader, extractor: ProcessExtractor, tmp_path: Path) -> None:
    (path := tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 nothing else")
    document, _ = read(scans, _Result(_HALF), path)
    assert document.sections == _HALF.sections
    assert document.warnings[1].type == "ocr_failed"
    empty, _ = read(scans, _Result(_HALF), save_pdf(path, Image.new("RGB", (200, 200), "white")))
    assert empty == _HALF


@needs_ocr
@pytest.mark.slow
def test_memory_is_limited(extractor: ProcessExtractor, tmp_path: Path) -> None:
    scans = ScanReader(OcrMode.ON, limits=replace(LIMITS, memory_bytes=300 << 20))
    draw("text").save(path := tmp_path / "a.png")
    with pytest.raises(ExtractionLimitError, match="bytes of memory") as caught:
        read(scans, extractor, path)
    assert not caught.value.of_content
    scans.close()
