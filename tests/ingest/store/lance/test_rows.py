"""Rows of the table: one head and its chunks, and names of any bytes as text that comes back."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.types import Chunk, SourceFile

WIDTH = 3
COLUMNS = rows.schema("model-a", WIDTH)
FILE = SourceFile("sub/a.txt", "a.txt", "file:///sub/a.txt", "hash", 1 << 40, None, 1.5)
# As Python has them: lone surrogates for bytes that are no UTF-8, and the escape itself.
NAMES = st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from("\udc80\udcff\ud800\ufdd0d0'")))


def vectors(count: int) -> NDArray[np.float32]:
    return np.arange(count * WIDTH, dtype=np.float32).reshape(count, WIDTH)


@given(NAMES)
@example("caf\udce9.txt")
@example("\ufdd0dce9")
@example("\ufdd0\ufdd0\udcffdcff")
def test_a_name_is_text_in_the_table_and_comes_back(name: str) -> None:
    escaped = rows.escape(name)
    escaped.encode("utf-8")
    assert rows.unescape(escaped) == name


@pytest.mark.parametrize("name", ["", "a.txt", "日本 🎉.md", "it's", "a\nb\0"])
def test_a_name_that_is_text_stays_readable(name: str) -> None:
    assert rows.escape(name) == name


def test_a_replacement_is_a_head_and_its_chunks() -> None:
    chunks = [Chunk("one", "page 1", 0), Chunk("two", "", 1)]
    head, first, second = rows.build(COLUMNS, "p", FILE, 7, chunks, vectors(2)).to_pylist()
    for row in (head, first, second):
        assert (row["pipeline_id"], row["file_id"], row["generation"]) == ("p", "sub/a.txt", 7)
    assert (head["chunk"], head["text"], head["place"], head["vector"]) == (rows.FILE_ROW, None, None, None)
    assert rows.source_file(head) == FILE
    assert (first["chunk"], first["text"], first["place"], first["vector"]) == (0, "one", "page 1", [0, 1, 2])
    assert (second["chunk"], second["text"], second["place"], second["vector"]) == (1, "two", "", [3, 4, 5])
    about_the_file = set(rows.FILE_COLUMNS) - {"pipeline_id", "file_id", "generation"}
    assert {first[column] for column in about_the_file} == {None}, "what is known of a file stands once"


def test_a_file_without_chunks_is_a_head_alone() -> None:
    table = rows.build(COLUMNS, "p", FILE, 1, [], vectors(0))
    assert table.num_rows == 1
    assert rows.source_file(table.to_pylist()[0]) == FILE


def test_rows_have_the_tables_columns_and_its_metadata() -> None:
    table = rows.build(COLUMNS, "p", FILE, 1, [Chunk("x", "", 0)], vectors(1))
    assert table.schema.equals(COLUMNS, check_metadata=True)
    assert COLUMNS.metadata == {b"model_id": b"model-a", b"format": b"2"}
    assert set(rows.FILE_COLUMNS) <= set(COLUMNS.names)


def test_text_that_is_no_unicode_is_stored_all_the_same() -> None:
    odd = SourceFile("b\udcff", "b\udcff", "file:///b%FF", "h", 0, "text/plain", 0.0)
    head, row = rows.build(COLUMNS, "p\udcff", odd, 1, [Chunk("a\ud800b", "pl\udcffce", 0)], vectors(1)).to_pylist()
    assert (row["text"], row["place"]) == ("a?b", "pl?ce")
    assert rows.source_file(head) == odd
    assert rows.unescape(row["pipeline_id"]) == "p\udcff"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_vectors_of_another_number_make_no_table(count: int) -> None:
    with pytest.raises(ValueError):
        rows.build(COLUMNS, "p", FILE, 1, [Chunk("a", "", 0), Chunk("b", "", 1)], vectors(count))


@given(NAMES)
@example("p' OR 'a' = 'a")
@example("''")
def test_a_condition_is_one_comparison_whatever_stands_in_a_name(pipeline_id: str) -> None:
    literal = r"'((?:[^']|'')*)'"
    match = re.fullmatch(rf"pipeline_id = {literal} AND generation IN \(3\)", rows.condition(pipeline_id, [3], [3]))
    assert match
    assert rows.unescape(match[1].replace("''", "'")) == pipeline_id


@pytest.mark.parametrize(
    ("generations", "contents", "picked"),
    [
        ([4, 2], [2, 4], "generation IN (2, 4)"),
        ([4], [], "generation IN (4) AND (chunk = -1)"),
        ([4], [2], "generation IN (2, 4) AND (chunk = -1 OR generation IN (2))"),
    ],
)
def test_a_condition_picks_heads_and_chunks(generations: list[int], contents: list[int], picked: str) -> None:
    assert rows.condition("p", generations, contents) == f"pipeline_id = 'p' AND {picked}"


def test_a_moved_file_is_a_head_alone() -> None:
    moved = rows.build_file_rows(COLUMNS, "p", [rows.FileVersion(FILE, 7, 3, 5), rows.FileVersion(FILE, 8, 8)])
    assert moved.schema.equals(COLUMNS)
    assert [(row["content"], row["replaces"]) for row in moved.to_pylist()] == [(3, 5), (8, None)]
    assert [rows.content_of(row) for row in moved.to_pylist()] == [3, 8]
    assert rows.content_of({"generation": 6, "content": None}) == 6


def test_moves_and_copies_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError):
        rows.check_moves({"a": FILE, "b": FILE})
    rows.check_moves({"a": FILE})
    assert rows.copies_by_id([(FILE.file_id, FILE)]) == {FILE.file_id: (FILE.file_id, FILE)}


def test_files_that_are_copied_and_overwritten_are_told() -> None:
    other = SourceFile("y", "y", "", "h", 0, None, 0.0)
    assert rows.overwritten_sources(rows.copies_by_id([("x", FILE), (FILE.file_id, other)])) == [FILE.file_id]
    assert rows.overwritten_sources(rows.copies_by_id([(FILE.file_id, FILE)])) == []
