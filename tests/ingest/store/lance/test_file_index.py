"""The current row of each file, and the files of each set of chunks."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from rag_pipeline.ingest.store.lance.file_index import FileIndex


def row_of(file_id: str, generation: int, content: int | None = None, replaces: int | None = None) -> dict[str, Any]:
    return {
        "pipeline_id": "p", "file_id": file_id, "generation": generation, "content": content, "replaces": replaces
    }  # fmt: skip


def current(index: FileIndex) -> dict[str, int]:
    return {row["file_id"]: row["generation"] for row in index}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_highest_generation_is_current_in_any_order(order: tuple[int, ...]) -> None:
    rows = [row_of("a", 1), row_of("a", 3), row_of("b", 2)]
    index = FileIndex([rows[i] for i in order])
    assert current(index) == {"a": 3, "b": 2}
    assert len(index) == 2
    assert index.newest == 3


def test_a_replaced_row_is_not_current() -> None:
    moved = FileIndex([row_of("a", 1), row_of("b", 2, content=1, replaces=1)])
    assert current(moved) == {"b": 2}
    assert [row["file_id"] for row in moved.files_with([("p", 1)])[("p", 1)]] == ["b"]
    # A newer file with the old id is a different file.
    assert current(FileIndex([row_of("a", 1), row_of("b", 2, 1, 1), row_of("a", 3)])) == {"a": 3, "b": 2}
    # A row that the replaced row had replaced does not become current again.
    assert current(FileIndex([row_of("a", 1), row_of("a", 2), row_of("b", 3, 2, 2)])) == {"b": 3}


def test_two_files_swap_their_ids() -> None:
    index = FileIndex(
        [row_of("a", 1), row_of("b", 2), row_of("b", 3, content=1, replaces=1), row_of("a", 4, content=2, replaces=2)]
    )
    assert {row["file_id"]: row["content"] for row in index} == {"b": 1, "a": 2}


def test_rows_of_another_pipeline_are_not_replaced() -> None:
    other = {**row_of("a", 1), "pipeline_id": "q"}
    assert len(FileIndex([other, row_of("b", 2, content=1, replaces=1)])) == 2


def test_a_content_is_in_use_until_its_last_file_is_removed() -> None:
    index = FileIndex([row_of("a", 1), row_of("b", 2, content=1)])
    assert index.has_content(("p", 1))
    assert [row["generation"] for row in index.apply([row_of("a", 3)])] == [1]
    assert index.has_content(("p", 1))
    assert not index.has_content(("q", 1))
    assert [row["generation"] for row in index.apply([], [("p", "b"), ("p", "none")])] == [2]
    assert not index.has_content(("p", 1))
    assert index.get(("p", "b")) is None
    assert current(index) == {"a": 3}


def test_a_row_of_format_1_has_its_own_chunks() -> None:
    old = {"pipeline_id": "p", "file_id": "a", "generation": 5}
    assert FileIndex([old]).files_with([("p", 5), ("p", 6)]) == {("p", 5): [old]}


def test_outdated_rows_are_returned_oldest_first() -> None:
    rows = [row_of("c", 3, 1, 2), row_of("b", 2, 1, 1), row_of("d", 5), row_of("a", 1), row_of("d", 4)]
    index = FileIndex(rows)
    assert current(index) == {"c": 3, "d": 5}
    assert [row["generation"] for row in index.outdated(rows)] == [1, 2, 4]
    assert FileIndex(rows[:3]).outdated(rows[:1]) == []
