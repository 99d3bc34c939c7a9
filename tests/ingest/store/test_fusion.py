"""Reciprocal rank fusion."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.store.fusion import fuse


def test_first_in_every_list_is_one_and_one_list_alone_half() -> None:
    scores = fuse([["a", "b"], ["a", "c"]])
    assert scores["a"] == pytest.approx(1)
    assert scores["b"] == scores["c"] < 0.5
    assert fuse([[], ["x"]]) == {"x": pytest.approx(0.5)}
