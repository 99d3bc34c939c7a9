"""Merges ranked lists by reciprocal rank fusion, because BM25 scores and cosines can't be added."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

ChunkKey = tuple[str, str, int]  # pipeline_id and file_id, both escaped, and the chunk's number
RANK_CONSTANT = 60  # the value of the paper (Cormack, Clarke, Büttcher: SIGIR 2009)

_K = TypeVar("_K", bound=Hashable)


def fuse(rankings: Sequence[Sequence[_K]]) -> dict[_K, float]:
    """Return each key's score, 0..1, where 1 is first in every list; a list without the key adds nothing."""
    scores: dict[_K, float] = {}
    best = len(rankings) / (RANK_CONSTANT + 1)
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + rank) / best
    return scores
