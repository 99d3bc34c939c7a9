"""The LanceDB table: indexes, columns of both formats, rows as a stream."""

from __future__ import annotations

from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from rag_pipeline.ingest.store import chunk_buffer
from rag_pipeline.ingest.store.lance import chunk_table, rows
from tests.ingest.store.samples import WIDTH, chunks, file, vectors

COLUMNS = rows.schema("model-a", WIDTH)


def test_indexes_are_created_once(tmp_path: Path) -> None:
    table = lancedb.connect(tmp_path).create_table("t", schema=COLUMNS)
    for _ in range(2):
        chunk_table.create_indexes(table)
        assert sorted(index.columns for index in table.list_indices()) == [["generation"], ["terms"]]
    version = table.version
    chunk_table.upgrade(table)
    assert table.version == version


def test_chunks_are_counted_by_content(tmp_path: Path) -> None:
    table = lancedb.connect(tmp_path).create_table("t", schema=COLUMNS)
    for generation in (1, 2):
        table.add(rows.build(COLUMNS, "p", file("a"), generation, chunks(*"ab"[:generation]), vectors(generation)))
    assert chunk_table.count_chunks(table, {1, 2, 3}) == {1: 1, 2: 2}
    assert {row["generation"] for row in chunk_table.read_file_rows(table)} == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 3, 20])
def test_few_rows_are_a_table_and_many_are_a_stream(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_buffer, "CHUNKS_AT_ONCE", 7)
    with chunk_buffer.ChunkBuffer(tmp_path) as spooled:
        spooled.add(chunks(*map(str, range(count))), vectors(count))
        replacements = [chunk_table.Replacement("p", file("a"), spooled)]
        data = chunk_table.as_data(COLUMNS, chunk_table.build_file_rows(COLUMNS, replacements, 5), replacements, 5)
        assert isinstance(data, pa.RecordBatchReader if count > 7 else pa.Table)
        table = data.read_all() if isinstance(data, pa.RecordBatchReader) else data
    assert table.schema.equals(COLUMNS)
    assert table["chunk"].to_pylist() == list(range(-1, count))
    assert set(table["generation"].to_pylist()) == {5}
