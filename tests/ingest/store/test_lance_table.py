"""The table that LanceDB keeps: indexes once, columns of both formats, rows as a stream."""

from __future__ import annotations

from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from rag_pipeline.ingest.store import lance_table, rows, spool
from tests.ingest.store.samples import WIDTH, chunks, file, vectors

COLUMNS = rows.schema("model-a", WIDTH)


def test_indexes_are_made_once(tmp_path: Path) -> None:
    table = lancedb.connect(tmp_path).create_table("t", schema=COLUMNS)
    for _ in range(2):
        lance_table.make_indexes(table)
        assert sorted(index.columns for index in table.list_indices()) == [["generation"], ["text"]]
    version = table.version
    lance_table.bring_up_to_date(table)
    assert table.version == version


def test_chunks_are_counted_by_content(tmp_path: Path) -> None:
    table = lancedb.connect(tmp_path).create_table("t", schema=COLUMNS)
    for generation in (1, 2):
        table.add(rows.build(COLUMNS, "p", file("a"), generation, chunks(*"ab"[:generation]), vectors(generation)))
    assert lance_table.count_chunks(table, {1, 2, 3}) == {1: 1, 2: 2}
    assert {row["generation"] for row in lance_table.read_heads(table)} == {1, 2}


@pytest.mark.parametrize("count", [0, 3, 20])
def test_a_few_rows_go_at_once_and_many_as_a_stream(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "CHUNKS_AT_ONCE", 7)
    with spool.Spool(tmp_path) as spooled:
        spooled.add(chunks(*map(str, range(count))), vectors(count))
        replacements = [lance_table.Replacement("p", file("a"), spooled)]
        data = lance_table.as_data(COLUMNS, lance_table.build_heads(COLUMNS, replacements, 5), replacements, 5)
        assert isinstance(data, pa.RecordBatchReader if count > 7 else pa.Table)
        table = data.read_all() if isinstance(data, pa.RecordBatchReader) else data
    assert table.schema.equals(COLUMNS)
    assert table["chunk"].to_pylist() == list(range(-1, count))
    assert set(table["generation"].to_pylist()) == {5}
