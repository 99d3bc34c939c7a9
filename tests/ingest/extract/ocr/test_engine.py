"""RapidOCR on a picture of text."""

from __future__ import annotations

import numpy as np
import pytest

from rag_pipeline.ingest.extract.ocr.engine import OcrEngine
from rag_pipeline.ingest.extract.ocr.reading_order import page_text
from tests.ingest.extract.ocr.scans import draw, needs_ocr

pytestmark = [pytest.mark.slow, needs_ocr]


def test_lines_are_recognised_with_their_boxes() -> None:
    engine = OcrEngine()
    lines = engine.lines(np.asarray(draw("The invoice number is 4711.", "Please pay before Friday."))[:, :, ::-1])
    assert page_text(lines) == "The invoice number is 4711.\nPlease pay before Friday."
    assert all(line.left < line.right <= 900 and line.top < line.bottom <= 300 for line in lines)
    assert engine.lines(np.full((200, 200, 3), 255, np.uint8)) == []
