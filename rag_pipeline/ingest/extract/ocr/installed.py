"""Whether OCR is wanted and installed, and what to tell people otherwise."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec

from rag_pipeline.errors import ConfigurationError

MODULES = ("cv2", "onnxruntime", "PIL", "pypdfium2", "rapidocr")
INSTALL = 'pip install "rag-pipeline-status[ocr]"'


class OcrMode(StrEnum):
    """The values of RAG_OCR: use OCR if it is installed, never, or always."""

    AUTO = "auto"
    OFF = "0"
    ON = "1"


def is_on(mode: OcrMode) -> bool:
    """Return whether to use OCR; raises ConfigurationError if it must be used and is not installed."""
    if mode is OcrMode.OFF:
        return False
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing and mode is OcrMode.ON:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigurationError(f"RAG_OCR=1, but {', '.join(missing)} {verb} not installed; run: {INSTALL}")
    return not missing


def hint(mode: OcrMode) -> str:
    """Return how to turn OCR on, for messages about files that it would read."""
    return "set RAG_OCR=auto to read it with OCR" if mode is OcrMode.OFF else f"{INSTALL} to read it with OCR"
