"""Merges ranked lists by reciprocal rank fusion: ranks can be added where BM25 and cosine can't."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

RANK_CONSTANT = 60  # the value of the paper (Cormack, Clarke, Büttcher: SIGIR 2009)

_K = TypeVar("_K", bound=Hashable)


def fuse(rankings: Sequence[Sequence[_K]]) -> dict[_K, float]:
    """Return each key's score, 0..1: 1 stands at the top of every list, and a list without the key adds nothing."""
    scores: dict[_K, float] = {}
    best = len(rankings) / (RANK_CONSTANT + 1)
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + rank) / best
    return scores
