"""Merges the results by words, by file name and by vector into one ranking.

BM25 scores and cosines have different scales, so each is taken as its share of the highest one. Then texts that are
like the best few count more (pseudo-relevance feedback). See docs/design/search.md for the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rag_pipeline.ingest.types import SearchFloor

ChunkKey = tuple[str, str, int]  # pipeline_id and file_id, both escaped, and the chunk's number
FileScores = Mapping[tuple[str, str], float]
CANDIDATES = 50
"""The least number of chunks that each kind of search contributes."""
VECTOR_WEIGHT = 0.6
"""Weight of the cosine, against the rest for the words."""
FEEDBACK = 3
"""Number of the best texts that the others are compared with."""
FEEDBACK_WEIGHT = 0.4
"""Weight of the likeness to the best texts."""
FORM_WEIGHT = 0.25
"""Weight of the other forms of a question's words, against 1 for the word itself."""
NAME_WEIGHT = 0.5
"""Weight of words in the file's name, against 1 for words in the text."""

_DECIMALS = 6  # beyond them, scores differ by chance

Likeness = Callable[[Sequence[ChunkKey]], Mapping[ChunkKey, float]]
"""Returns the cosine of each candidate with the mean vector of some of them."""


class Ranked(NamedTuple):
    """A result: its chunk, its fused score, and the two raw scores."""

    key: ChunkKey
    score: float
    words: float
    vector: float


def add_names(
    words: Mapping[ChunkKey, float], names: FileScores, candidates: Iterable[ChunkKey]
) -> dict[ChunkKey, float]:
    """Return the scores by words, with the score of the file's name for each of its candidates.

    The first chunk stands for a file without candidates.
    """
    scores = dict(words)
    files: set[tuple[str, str]] = set()
    for key in {*words, *candidates}:
        files.add(key[:2])
        if key[:2] in names:
            scores[key] = words.get(key, 0.0) + NAME_WEIGHT * names[key[:2]]
    for pipeline_id, file_id in names.keys() - files:
        scores[pipeline_id, file_id, 0] = NAME_WEIGHT * names[pipeline_id, file_id]
    return scores


def rank(
    words: Mapping[ChunkKey, float],
    vectors: Mapping[ChunkKey, float],
    likeness: Likeness,
    floor: SearchFloor,
    limit: int,
) -> list[Ranked]:
    """Return the best results, best first, equal ones ordered by file and number, without those below the floor.

    ``vectors`` has the cosine of each candidate with the question; ``words`` has the scores of those with a word.
    """
    first = _weighted((vectors, VECTOR_WEIGHT), (words, 1 - VECTOR_WEIGHT))
    best = sorted(first, key=lambda key: (-first[key], key))[:FEEDBACK]
    scores = _weighted((first, 1 - FEEDBACK_WEIGHT), (likeness(best) if best else {}, FEEDBACK_WEIGHT))
    kept = (
        Ranked(key, scores[key], words.get(key, 0.0), vectors[key])
        for key in vectors
        if 0 < words.get(key, 0.0) >= floor.words or vectors[key] >= floor.vector
    )
    return sorted(kept, key=lambda hit: (-hit.score, hit.key))[:limit]


def _weighted(*parts: tuple[Mapping[ChunkKey, float], float]) -> dict[ChunkKey, float]:
    """Return the weighted sums of scores, each as its share of the highest one; negative ones count as 0."""
    sums: dict[ChunkKey, float] = {}
    for scores, weight in parts:
        highest = max(scores.values(), default=0.0)
        for key, score in scores.items():
            share = max(0.0, score) / highest if highest > 0 else 0.0
            sums[key] = round(sums.get(key, 0.0) + weight * share, _DECIMALS)
    return sums
