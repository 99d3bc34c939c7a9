"""Freed memory is returned to the system if the C library supports it."""

from __future__ import annotations

import ctypes

import pytest

from rag_pipeline.ingest.store.lance import memory


def test_malloc_trim_is_called_if_it_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Glibc:
        @staticmethod
        def malloc_trim(keep: int) -> int:
            calls.append(keep)
            return 1

    libraries = [Glibc(), object()]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libraries.pop(0))
    for _ in range(2):
        memory._malloc_trim.cache_clear()
        memory.give_back_memory()
    memory._malloc_trim.cache_clear()
    assert calls == [0]
