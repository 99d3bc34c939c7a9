"""The reading of scans, with an engine that names the size of each picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rag_pipeline.errors import CorruptFileError, EmptyFileError, ExtractionLimitError
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import Finished, Progressed, SectionFound, Warned, WorkerMessage
from rag_pipeline.ingest.extract.ocr import worker
from rag_pipeline.ingest.extract.ocr.reading_order import TextLine
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.ocr.scans import save_pdf


class _Engine:
    """Recognises ``<width>x<height>``; nothing in pictures of a pixel."""

    def lines(self, pixels: Any) -> list[TextLine]:
        height, width, _ = pixels.shape
        return [TextLine(0, 0, width, height, f"{width}x{height}")] if width > 1 else []


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_engine", _Engine)
    monkeypatch.setattr(worker, "limit_cpu_time", lambda _: None)


def read(path: Path, limits: ExtractionLimits | None = None) -> tuple[Finished, list[WorkerMessage]]:
    sent: list[WorkerMessage] = []
    descriptor = os.open(path, os.O_RDONLY)
    limits = limits or ExtractionLimits()
    return worker.read_scan(descriptor, path.name.encode(), limits, sent.append, ReadOptions()), sent


def test_a_picture_has_no_locator(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(path := tmp_path / "a.png")
    finished, sent = read(path)
    assert finished == Finished("image/png", 5, 0.0, 1, 0)
    assert [message for message in sent if isinstance(message, SectionFound)] == [SectionFound("", "40x30")]


def test_pages_of_a_pdf_have_their_numbers(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    finished, sent = read(save_pdf(tmp_path / "a.pdf", Image.new("L", (150, 75)), Image.new("L", (75, 150))))
    sections = [message for message in sent if isinstance(message, SectionFound)]
    assert sections == [SectionFound("page 1", "200x100"), SectionFound("page 2", "100x200")]
    assert (finished.mime_type, finished.pages) == ("application/pdf", 2)
    assert any(isinstance(message, Progressed) for message in sent)


def _fax(path: Path, pages: int) -> Path:
    frames = [Image.new("1", (8, 8)) for _ in range(pages)]
    frames[0].save(path, "TIFF", save_all=True, append_images=frames[1:])
    return path


def test_the_limit_of_cpu_time_keeps_the_pages_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 1.0, 2.0, 99.0])
    monkeypatch.setattr(worker, "_cpu_seconds", lambda: next(seconds))
    finished, sent = read(_fax(tmp_path / "a.tif", 5), ExtractionLimits(time_seconds=10))
    assert finished.pages == 2
    assert Warned("ocr_limit", "OCR took 10 s, so the last 3 pages are left out", 3) in sent


def test_a_damaged_page_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rag_pipeline.ingest.extract.ocr.pictures import PictureFrames

    decode = PictureFrames.picture

    def fail_on_the_second(pages: PictureFrames, index: int) -> Any:
        if index == 1:
            raise CorruptFileError("cut off")
        return decode(pages, index)

    monkeypatch.setattr(PictureFrames, "picture", fail_on_the_second)
    finished, sent = read(_fax(tmp_path / "a.tif", 3))
    assert finished.pages == 2
    assert Warned("unreadable_page", "page 2 is left out: cut off", 1) in sent


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path := tmp_path / "a.png")
    with pytest.raises(EmptyFileError, match="no text in it that OCR can find"):
        read(path)
    with pytest.raises(ExtractionLimitError, match="over the limit of 10"):
        read(path, ExtractionLimits(input_bytes=10))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(CorruptFileError, match="is damaged"):
        read(path)
    path.write_text("plain")
    with pytest.raises(CorruptFileError, match="neither a PDF nor a picture"):
        read(path)
