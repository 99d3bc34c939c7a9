"""A LanceDB table of chunks: its indexes, its columns, and rows in and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from rag_pipeline.ingest.store.chunk_buffer import ChunkBuffer
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import TableRow
from rag_pipeline.ingest.types import SourceFile


def create_indexes(table: Any) -> None:
    """Make the indexes that the table lacks."""
    from lancedb.index import FTS, BTree

    present = {column for index in table.list_indices() for column in index.columns}
    if "text" not in present:
        # icu finds the words of scripts without spaces too.
        table.create_index("text", config=FTS(base_tokenizer="icu"))
    if "generation" not in present:
        table.create_index("generation", config=BTree())


def upgrade(table: Any) -> None:
    """Add the columns that a table of format 1 lacks, and drop its index that is no longer used."""
    if rows.ADDED_COLUMNS[0] in table.schema.names:
        return
    table.add_columns(rows.added_fields())
    for index in table.list_indices():
        if index.columns == ["file_id"]:
            table.drop_index(index.name)


def read_file_rows(table: Any) -> list[TableRow]:
    """Return the head rows, all of them, in any order."""
    present = [name for name in rows.FILE_COLUMNS if name in table.schema.names]
    query = table.search().where(f"chunk = {rows.FILE_ROW}").select(present).limit(1 << 31)
    found: list[TableRow] = query.to_arrow().to_pylist()
    return found


def count_chunks(table: Any, contents: set[int]) -> dict[int, int]:
    """Return the number of chunks of each of these contents."""
    listed = ", ".join(map(str, sorted(contents)))
    query = table.search().where(f"generation IN ({listed}) AND chunk >= 0").select(["generation"])
    found = query.limit(1 << 31).to_arrow()["generation"].value_counts().to_pylist()
    return {item["values"]: item["counts"] for item in found}


class Replacement(NamedTuple):
    """A file with the chunks that it is to have."""

    pipeline_id: str
    file: SourceFile
    spool: ChunkBuffer


def build_file_rows(columns: Any, replacements: Sequence[Replacement], generation: int) -> Any:
    """Return the head rows of replacements, which get numbers from ``generation`` on."""
    import pyarrow as pa

    by_pipeline: dict[str, list[rows.FileVersion]] = {}
    for number, (pipeline_id, file, _) in enumerate(replacements, generation):
        by_pipeline.setdefault(pipeline_id, []).append(rows.FileVersion(file, number, number))
    return pa.concat_tables([rows.build_file_rows(columns, *item) for item in by_pipeline.items()])


def as_data(columns: Any, heads: Any, replacements: Sequence[Replacement], generation: int) -> Any:
    """Return the rows of replacements as the library takes them: at once, or as a stream if they are many."""
    import pyarrow as pa

    chunks = (
        rows.build_chunk_rows(columns, pipeline_id, file.file_id, number, *batch)
        for number, (pipeline_id, file, spool) in enumerate(replacements, generation)
        for batch in spool
    )
    if all(replacement.spool.is_small for replacement in replacements):
        return pa.concat_tables([heads, *chunks])
    tables = chain([heads], chunks)
    return pa.RecordBatchReader.from_batches(columns, (batch for table in tables for batch in table.to_batches()))
