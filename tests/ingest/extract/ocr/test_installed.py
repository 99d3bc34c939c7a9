"""The setting RAG_OCR, with and without the extra."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.extract.ocr import installed
from rag_pipeline.ingest.extract.ocr.installed import OcrMode, hint, is_on


def _without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name in missing else ModuleSpec(name, None))


def test_auto_follows_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    assert is_on(OcrMode.AUTO)
    _without(monkeypatch, "rapidocr")
    assert not is_on(OcrMode.AUTO)


def test_off_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    assert not is_on(OcrMode.OFF)
    assert "RAG_OCR=auto" in hint(OcrMode.OFF)


def test_on_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, "rapidocr", "cv2")
    with pytest.raises(ConfigurationError, match=r"RAG_OCR=1, but cv2, rapidocr are not installed; run: pip install"):
        is_on(OcrMode.ON)
