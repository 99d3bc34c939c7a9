"""Reciprocal rank fusion."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.store.fusion import fuse


def test_the_first_of_every_list_scores_one_and_of_a_single_list_half() -> None:
    scores = fuse([["a", "b"], ["a", "c"]])
    assert scores["a"] == pytest.approx(1)
    assert scores["b"] == scores["c"] < 0.5
    assert fuse([[], ["x"]]) == {"x": pytest.approx(0.5)}
