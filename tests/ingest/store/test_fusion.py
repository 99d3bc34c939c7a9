"""Merging the results by words, names and vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from rag_pipeline.ingest.store.fusion import NAME_WEIGHT, ChunkKey, add_names, rank
from rag_pipeline.ingest.types import NO_FLOOR, SearchFloor

A0, A1, B0 = ("p", "a", 0), ("p", "a", 1), ("p", "b", 0)
WORDS: dict[ChunkKey, float] = {A0: 3.0, A1: 1.0}
VECTORS: dict[ChunkKey, float] = {A0: 0.2, A1: 0.1, B0: 0.9}


def nothing_alike(best: Sequence[ChunkKey]) -> Mapping[ChunkKey, float]:
    return {}


def test_the_first_by_words_and_by_vector_has_the_score_one() -> None:
    def all_alike(best: Sequence[ChunkKey]) -> Mapping[ChunkKey, float]:
        return dict.fromkeys(VECTORS, 1.0)

    scores = [result.score for result in rank({B0: 4.0, A0: 2.0}, VECTORS, all_alike, NO_FLOOR, 5)]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_negative_cosines_and_no_words_count_as_zero() -> None:
    assert [hit.score for hit in rank({}, {A0: -0.5, A1: -0.1}, nothing_alike, NO_FLOOR, 5)] == [0.0, 0.0]


def test_texts_like_the_best_ones_move_up() -> None:
    vectors: dict[ChunkKey, float] = {("p", "a", n): 0.9 - n / 100 for n in range(10)}
    asked: list[Sequence[ChunkKey]] = []

    def likeness(best: Sequence[ChunkKey]) -> Mapping[ChunkKey, float]:
        asked.append(best)
        return {key: 1.0 if key == ("p", "a", 9) else 0.5 for key in vectors}

    assert rank({}, vectors, likeness, NO_FLOOR, 1)[0].key == ("p", "a", 9)
    assert asked == [[("p", "a", 0), ("p", "a", 1), ("p", "a", 2)]]


def test_a_name_adds_to_all_matching_chunks_of_its_file() -> None:
    assert add_names(WORDS, {("p", "a"): 2.0}, []) == {A0: 3.0 + 2 * NAME_WEIGHT, A1: 1.0 + 2 * NAME_WEIGHT}


def test_a_file_that_only_its_name_matches_is_found_by_its_first_chunk() -> None:
    assert add_names(WORDS, {("p", "b"): 2.0}, []) == {**WORDS, B0: 2 * NAME_WEIGHT}


def test_a_name_adds_to_chunks_that_only_the_vectors_have_found() -> None:
    second = ("p", "b", 1)
    assert add_names(WORDS, {("p", "b"): 2.0}, [second]) == {**WORDS, second: 2 * NAME_WEIGHT}


def test_results_have_both_raw_scores() -> None:
    results = rank(WORDS, VECTORS, nothing_alike, NO_FLOOR, 5)
    raw = {result.key: (result.words, result.vector) for result in results}
    assert raw == {A0: (3.0, 0.2), A1: (1.0, 0.1), B0: (0.0, 0.9)}


def test_one_of_the_two_floors_has_to_be_reached() -> None:
    def kept(words: float, vector: float) -> set[ChunkKey]:
        return {hit.key for hit in rank(WORDS, VECTORS, nothing_alike, SearchFloor(words, vector), 5)}

    assert kept(2.0, 0.5) == {A0, B0}
    assert kept(10.0, 0.5) == {B0}
    assert kept(10.0, 0.95) == set()
    assert kept(0.0, 0.95) == {A0, A1}, "a word has to match even without a floor for words"
    assert kept(10.0, -1.0) == {A0, A1, B0}


def test_equal_results_are_ordered_by_file_and_number() -> None:
    keys: list[ChunkKey] = [("p", file, n) for file in "ba" for n in (1, 0)]
    assert [hit.key for hit in rank({}, dict.fromkeys(keys, 0.5), nothing_alike, NO_FLOOR, 3)] == sorted(keys)[:3]
