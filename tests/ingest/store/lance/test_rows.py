"""Rows of the table: one file row, and one row for each chunk."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given
from numpy.typing import NDArray

from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.types import Chunk, SourceFile
from tests.ingest.store.samples import NAMES

WIDTH = 3
COLUMNS = rows.schema("model-a", WIDTH)
FILE = SourceFile("sub/a.txt", "a.txt", "file:///sub/a.txt", "hash", 1 << 40, None, 1.5)


def vectors(count: int) -> NDArray[np.float32]:
    return np.arange(count * WIDTH, dtype=np.float32).reshape(count, WIDTH)


def test_a_write_is_a_file_row_and_chunk_rows() -> None:
    chunks = [Chunk("one", "page 1", 0), Chunk("two", "", 1)]
    file_row, first, second = rows.build(COLUMNS, "p", FILE, 7, chunks, vectors(2)).to_pylist()
    for row in (file_row, first, second):
        assert (row["pipeline_id"], row["file_id"], row["generation"]) == ("p", "sub/a.txt", 7)
    assert (file_row["chunk"], file_row["text"], file_row["place"], file_row["vector"]) == (
        rows.FILE_ROW,
        None,
        None,
        None,
    )
    assert rows.source_file(file_row) == FILE
    assert (first["chunk"], first["text"], first["place"], first["vector"]) == (0, "one", "page 1", [0, 1, 2])
    assert (second["chunk"], second["text"], second["place"], second["vector"]) == (1, "two", "", [3, 4, 5])
    file_only = set(rows.FILE_COLUMNS) - {"pipeline_id", "file_id", "generation"}
    assert {first[column] for column in file_only} == {None}, "chunk rows do not repeat the file"


def test_a_file_without_chunks_has_only_a_file_row() -> None:
    table = rows.build(COLUMNS, "p", FILE, 1, [], vectors(0))
    assert table.num_rows == 1
    assert rows.source_file(table.to_pylist()[0]) == FILE


def test_rows_have_the_columns_and_metadata_of_the_table() -> None:
    table = rows.build(COLUMNS, "p", FILE, 1, [Chunk("x", "", 0)], vectors(1))
    assert table.schema.equals(COLUMNS, check_metadata=True)
    assert COLUMNS.metadata == {b"model_id": b"model-a", b"format": b"3"}
    assert set(rows.FILE_COLUMNS) <= set(COLUMNS.names)


def test_invalid_unicode_is_escaped_in_names_and_replaced_in_texts() -> None:
    invalid = SourceFile("b\udcff", "b\udcff", "file:///b%FF", "h", 0, "text/plain", 0.0)
    file_row, row = rows.build(
        COLUMNS, "p\udcff", invalid, 1, [Chunk("a\ud800b", "pl\udcffce", 0)], vectors(1)
    ).to_pylist()
    assert (row["text"], row["place"]) == ("a?b", "pl?ce")
    assert rows.source_file(file_row) == invalid
    assert unescape(row["pipeline_id"]) == "p\udcff"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_vectors_is_an_error(count: int) -> None:
    with pytest.raises(ValueError):
        rows.build(COLUMNS, "p", FILE, 1, [Chunk("a", "", 0), Chunk("b", "", 1)], vectors(count))


@given(NAMES)
@example("p' OR 'a' = 'a")
@example("''")
def test_a_name_can_not_inject_sql_into_a_condition(pipeline_id: str) -> None:
    literal = r"'((?:[^']|'')*)'"
    match = re.fullmatch(rf"pipeline_id = {literal} AND generation IN \(3\)", rows.condition(pipeline_id, [3], [3]))
    assert match
    assert unescape(match[1].replace("''", "'")) == pipeline_id


@pytest.mark.parametrize(
    ("generations", "contents", "condition"),
    [
        ([4, 2], [2, 4], "generation IN (2, 4)"),
        ([4], [], "generation IN (4) AND (chunk = -1)"),
        ([4], [2], "generation IN (2, 4) AND (chunk = -1 OR generation IN (2))"),
    ],
)
def test_a_condition_selects_file_rows_and_chunk_rows(
    generations: list[int], contents: list[int], condition: str
) -> None:
    assert rows.condition("p", generations, contents) == f"pipeline_id = 'p' AND {condition}"


def test_a_moved_file_is_a_single_file_row() -> None:
    moved = rows.build_file_rows(COLUMNS, "p", [rows.FileVersion(FILE, 7, 3, 5), rows.FileVersion(FILE, 8, 8)])
    assert moved.schema.equals(COLUMNS)
    assert [(row["content"], row["replaces"]) for row in moved.to_pylist()] == [(3, 5), (8, None)]
    assert [rows.content_of(row) for row in moved.to_pylist()] == [3, 8]
    assert rows.content_of({"generation": 6, "content": None}) == 6
