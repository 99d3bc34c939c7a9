"""RapidOCR with the models of its package, on one thread."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag_pipeline.ingest.extract.ocr.reading_order import TextLine

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag_pipeline.ingest.extract.ocr.pictures import Pixels

    Corners = NDArray[np.float32]

# The classifier of upside-down lines is off: it turned 1 of 11 upright long lines, whose text was then lost. Lines are
# recognised one by one: in a batch, the longest line decides the memory of all. Detection works on a picture of at
# most this many pixels a side; without a limit it takes a third more time, and 900 MB instead of 530.
_DETECTION_SIDE = 1280
_OUT_OF_MEMORY = re.compile(r"bad.?alloc|(out of|insufficient|allocate) memory", re.I)
_PARAMETERS = {
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    "Global.log_level": "critical",
    "Global.use_cls": False,
    "Rec.rec_batch_num": 1,
    "Det.limit_type": "max",
    "Det.limit_side_len": _DETECTION_SIDE,
}


class OcrEngine:
    """Recognises the lines of text in a picture. Loading takes about 3 seconds of CPU time."""

    def __init__(self) -> None:
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        self._recognise = RapidOCR(params=_PARAMETERS)

    def lines(self, pixels: Pixels) -> list[TextLine]:
        """Return the lines that are recognised with a confidence of at least a half, in any order."""
        try:
            result = self._recognise(pixels)
        except Exception as error:
            if _OUT_OF_MEMORY.search(str(error)):  # the libraries have exceptions of their own for it
                raise MemoryError from error
            raise
        boxes, texts = getattr(result, "boxes", None), getattr(result, "txts", None)
        if boxes is None or texts is None:
            return []
        return [_line(box, text) for box, text in zip(boxes, texts, strict=True)]


def _line(corners: Corners, text: str) -> TextLine:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return TextLine(float(left), float(top), float(right), float(bottom), text)
