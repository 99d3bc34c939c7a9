"""Which head counts for a file, and which files show a set of chunks."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from rag_pipeline.ingest.store.lance.file_index import FileIndex


def head(file_id: str, generation: int, content: int | None = None, replaces: int | None = None) -> dict[str, Any]:
    return {
        "pipeline_id": "p", "file_id": file_id, "generation": generation, "content": content, "replaces": replaces
    }  # fmt: skip


def current(heads: FileIndex) -> dict[str, int]:
    return {row["file_id"]: row["generation"] for row in heads}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_highest_generation_counts_in_any_order(order: tuple[int, ...]) -> None:
    rows = [head("a", 1), head("a", 3), head("b", 2)]
    heads = FileIndex([rows[i] for i in order])
    assert current(heads) == {"a": 3, "b": 2}
    assert len(heads) == 2
    assert heads.newest == 3


def test_a_head_that_is_replaced_does_not_count() -> None:
    moved = FileIndex([head("a", 1), head("b", 2, content=1, replaces=1)])
    assert current(moved) == {"b": 2}
    assert [row["file_id"] for row in moved.showing("p", 1)] == ["b"]
    # A newer file under the old id is another one.
    assert current(FileIndex([head("a", 1), head("b", 2, 1, 1), head("a", 3)])) == {"a": 3, "b": 2}
    # Nor does what it had replaced itself come back.
    assert current(FileIndex([head("a", 1), head("a", 2), head("b", 3, 2, 2)])) == {"b": 3}


def test_two_files_take_each_others_places() -> None:
    heads = FileIndex(
        [head("a", 1), head("b", 2), head("b", 3, content=1, replaces=1), head("a", 4, content=2, replaces=2)]
    )
    assert {row["file_id"]: row["content"] for row in heads} == {"b": 1, "a": 2}


def test_heads_of_another_pipeline_are_not_replaced() -> None:
    other = {**head("a", 1), "pipeline_id": "q"}
    assert len(FileIndex([other, head("b", 2, content=1, replaces=1)])) == 2


def test_chunks_are_shown_until_the_last_file_with_them_is_gone() -> None:
    heads = FileIndex([head("a", 1), head("b", 2, content=1)])
    assert heads.is_shown("p", 1)
    assert [row["generation"] for row in heads.apply([head("a", 3)])] == [1]
    assert heads.is_shown("p", 1)
    assert not heads.is_shown("q", 1)
    assert [row["generation"] for row in heads.apply([], [("p", "b"), ("p", "none")])] == [2]
    assert not heads.is_shown("p", 1)
    assert heads.get(("p", "b")) is None
    assert current(heads) == {"a": 3}


def test_a_head_without_these_columns_shows_its_own_chunks() -> None:
    old = {"pipeline_id": "p", "file_id": "a", "generation": 5}
    assert FileIndex([old]).showing("p", 5) == [old]


def test_heads_that_do_not_count_are_told_oldest_first() -> None:
    found = [head("c", 3, 1, 2), head("b", 2, 1, 1), head("d", 5), head("a", 1), head("d", 4)]
    heads = FileIndex(found)
    assert current(heads) == {"c": 3, "d": 5}
    assert [row["generation"] for row in heads.replaced(found)] == [1, 2, 4]
    assert FileIndex(found[:3]).replaced(found[:1]) == []
