"""Merges the results by words, by file name and by vector into one ranking.

BM25 scores and cosines can't be added, so the ranks are (reciprocal rank fusion). See docs/design/search.md for the
constants.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from rag_pipeline.ingest.types import SearchFloor

ChunkKey = tuple[str, str, int]  # pipeline_id and file_id, both escaped, and the chunk's number
FileScores = Mapping[tuple[str, str], float]
CANDIDATES = 50
"""The least number of chunks that each kind of search contributes."""
RANK_CONSTANT = 10
"""The paper has 60 (Cormack, Clarke, Büttcher: SIGIR 2009), for many long lists. Two lists of 50 need less."""
FORM_WEIGHT = 0.25
"""Weight of the other forms of a question's words, against 1 for the word itself."""
NAME_WEIGHT = 0.5
"""Weight of words in the file's name, against 1 for words in the text."""

_K = TypeVar("_K", bound=Hashable)


class Ranked(NamedTuple):
    """A result: its chunk, its fused score, and the two raw scores."""

    key: ChunkKey
    score: float
    words: float
    vector: float


def fuse(rankings: Sequence[Sequence[_K]]) -> dict[_K, float]:
    """Return each key's score, 0..1, where 1 is first in every list; a list without the key adds nothing."""
    scores: dict[_K, float] = {}
    best = len(rankings) / (RANK_CONSTANT + 1)
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + rank) / best
    return scores


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
    words: Mapping[ChunkKey, float], vectors: Mapping[ChunkKey, float], floor: SearchFloor, limit: int
) -> list[Ranked]:
    """Return the best results, best first, equal ones ordered by file and number, without those below the floor.

    ``vectors`` has the cosine of each key of ``words``, and of the nearest chunks.
    """
    by_words = sorted((key for key, score in words.items() if score > 0), key=lambda key: (-words[key], key))
    by_vector = sorted(vectors, key=lambda key: (-vectors[key], key))
    scores = fuse([by_words, by_vector])
    kept = (
        Ranked(key, scores[key], words.get(key, 0.0), vectors[key])
        for key in scores
        if 0 < words.get(key, 0.0) >= floor.words or vectors[key] >= floor.vector
    )
    return sorted(kept, key=lambda hit: (-hit.score, hit.key))[:limit]
