"""Extract a file, and recognise the text of its scanned pages if OCR is on; else say how to turn it on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rag_pipeline.errors import (
    EmptyFileError,
    ExtractionError,
    ExtractorUnavailableError,
    UnreadableTextError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract.extractor import ProcessExtractor
from rag_pipeline.ingest.extract.limits import MIB, ExtractionLimits
from rag_pipeline.ingest.extract.ocr.installed import OcrMode, hint, is_on
from rag_pipeline.ingest.extract.ocr.merge import mark, merge
from rag_pipeline.ingest.extract.ocr.scan_type import HEAD_BYTES, PDF, scan_type
from rag_pipeline.ingest.types import ExtractedDocument, Extractor, ProgressCallback, TextWarning

LIMITS = ExtractionLimits(time_seconds=3600.0, memory_bytes=2048 * MIB, files_per_worker=50)
"""The limits for OCR: an hour of CPU time for each file, and 2 GiB; RapidOCR takes up to 1.5 on a large page."""
_WITHOUT_TEXT = "pages_without_text"
_MAX_WARNINGS = 20


class ScanReader:
    """Reads files through an extractor, and what it can't read of PDF and pictures through OCR; thread-safe.

    OCR has a worker process of its own: one file at a time, because a page takes seconds of CPU time and up to 1 GB.
    """

    def __init__(self, mode: OcrMode = OcrMode.OFF, *, limits: ExtractionLimits = LIMITS) -> None:
        """Raise ConfigurationError if ``mode`` asks for OCR that is not installed."""
        self.is_on = is_on(mode)
        self._hint = hint(mode)
        self._ocr = ProcessExtractor(limits, launcher=Path(__file__).with_name("launch.py")) if self.is_on else None

    def read(
        self,
        extractor: Extractor,
        path: str,
        descriptor: int,
        *,
        on_progress: ProgressCallback,
        on_ocr: Callable[[], None],
    ) -> ExtractedDocument:
        """Return the file's text; call ``on_ocr`` when OCR begins, whose progress is the fraction of the pages.

        Raises what the extractor raises. If OCR would read the file, the message says how to turn it on.
        """
        try:
            document = extractor.extract(path, on_progress=on_progress, descriptor=descriptor)
        except (EmptyFileError, UnreadableTextError, UnsupportedFileTypeError) as error:
            if scan_type(os.pread(descriptor, HEAD_BYTES, 0)) is None:
                raise
            if self._ocr is None:
                error.args = (f"{error}; {self._hint}",)
                raise
            on_ocr()
            try:
                return mark(self._ocr.extract(path, on_progress=on_progress, descriptor=descriptor))
            except EmptyFileError:
                if isinstance(error, UnreadableTextError):
                    raise error from None
                raise
        if document.mime_type != PDF or not document.quality.pages_without_text:
            return document
        if self._ocr is None:
            return replace(document, warnings=tuple(map(self._with_hint, document.warnings)))
        on_ocr()
        return self._add_scanned_pages(document, path, descriptor, on_progress)

    def close(self) -> None:
        """End the worker process; idempotent."""
        if self._ocr is not None:
            self._ocr.close()

    def _add_scanned_pages(
        self, document: ExtractedDocument, path: str, descriptor: int, on_progress: ProgressCallback
    ) -> ExtractedDocument:
        assert self._ocr is not None
        try:
            recognised = self._ocr.extract(path, on_progress=on_progress, descriptor=descriptor)
        except EmptyFileError:
            return document
        except ExtractorUnavailableError:
            raise
        except ExtractionError as error:  # the pages with text are worth more than this error
            failed = TextWarning("ocr_failed", f"scanned pages could not be recognised: {error}"[:300])
            return replace(document, warnings=(*document.warnings, failed)[:_MAX_WARNINGS])
        return merge(document, recognised)

    def _with_hint(self, warning: TextWarning) -> TextWarning:
        if warning.type != _WITHOUT_TEXT:
            return warning
        return replace(warning, message=f"{warning.message}; {self._hint}")
