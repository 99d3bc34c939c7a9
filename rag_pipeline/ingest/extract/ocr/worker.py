"""The reading of scans in the worker process: draw each page without text, recognise it, and send its text."""

from __future__ import annotations

import os
import resource
from functools import cache

from rag_pipeline.errors import CorruptFileError, EmptyFileError, ExtractionError, ExtractionLimitError
from rag_pipeline.ingest.extract.confinement import limit_cpu_time
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import Finished
from rag_pipeline.ingest.extract.ocr.engine import OcrEngine
from rag_pipeline.ingest.extract.ocr.pictures import Pages, open_pages
from rag_pipeline.ingest.extract.ocr.reading_order import page_text
from rag_pipeline.ingest.extract.ocr.scan_type import HEAD_BYTES, scan_type
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.section_writer import SectionWriter
from rag_pipeline.ingest.extract.worker import Send

PAGE_SECONDS = 120.0
"""CPU time for one page; a dense A4 page takes about 10 seconds."""


def read_scan(descriptor: int, name: bytes, limits: ExtractionLimits, send: Send, options: ReadOptions) -> Finished:
    """Read an open file and close it: the pages that have no text of their own; raises an ExtractionError."""
    with os.fdopen(descriptor, "rb", buffering=1 << 16) as stream:
        size = os.fstat(descriptor).st_size
        if size > limits.input_bytes:
            raise ExtractionLimitError(f"is {size:,} bytes, over the limit of {limits.input_bytes:,}")
        file = InputFile(stream, size, os.fsdecode(name), limits, options)
        mime_type = scan_type(file.read_at(0, HEAD_BYTES))
        if mime_type is None:
            raise CorruptFileError("is neither a PDF nor a picture")
        writer = SectionWriter(send, text_bytes=limits.text_bytes)
        try:
            _read_pages(open_pages(file, mime_type), writer, limits)
        except CorruptFileError as error:
            raise CorruptFileError(f"is damaged: {error}") from error
        writer.finish()
        if writer.is_empty:
            raise EmptyFileError("has no text in it that OCR can find")
        quality = writer.quality
        return Finished(
            mime_type, quality.characters, quality.odd_characters, quality.pages, quality.pages_without_text
        )


def _read_pages(pages: Pages, writer: SectionWriter, limits: ExtractionLimits) -> None:
    deadline = _cpu_seconds() + limits.time_seconds
    for index in range(pages.count):
        if _cpu_seconds() > deadline:
            left = pages.count - index
            writer.warn(
                "ocr_limit", f"OCR took {limits.time_seconds:,.0f} s, so the last {left} pages are left out", left
            )
            return
        limit_cpu_time(PAGE_SECONDS)
        try:
            pixels = pages.picture(index)
        except ExtractionError as error:
            if pages.count == 1:
                raise
            writer.warn("unreadable_page", f"page {index + 1} is left out: {error}")
            continue
        if pixels is not None:
            text = page_text(_engine().lines(pixels))
            writer.page(f"page {index + 1}" if pages.are_numbered else "")
            writer.write(text)
        writer.progress((index + 1) / pages.count)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@cache
def _engine() -> OcrEngine:
    return OcrEngine()
