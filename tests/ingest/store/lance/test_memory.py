"""Freed memory goes back to the system, where the C library can do that."""

from __future__ import annotations

import ctypes

import pytest

from rag_pipeline.ingest.store.lance import memory


def test_the_c_library_is_asked_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Glibc:
        @staticmethod
        def malloc_trim(keep: int) -> int:
            asked.append(keep)
            return 1

    libraries = [Glibc(), object()]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libraries.pop(0))
    for _ in range(2):
        memory._trim.cache_clear()
        memory.give_back_memory()
    memory._trim.cache_clear()
    assert asked == [0]
