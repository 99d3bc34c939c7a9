"""Operations on the LanceDB table: indexes, columns, and rows in and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from rag_pipeline.ingest.store.chunk_buffer import ChunkBuffer
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import TableRow
from rag_pipeline.ingest.types import SourceFile

UNLIMITED = 1 << 31
"""The limit of queries that return all rows."""


def create_indexes(table: Any) -> None:
    """Create the indexes that the table lacks."""
    from lancedb.index import FTS, BTree

    present = {column for index in table.list_indices() for column in index.columns}
    if "text" not in present:
        # icu also splits scripts that have no spaces between words.
        table.create_index("text", config=FTS(base_tokenizer="icu"))
    if "generation" not in present:
        table.create_index("generation", config=BTree())


def upgrade(table: Any) -> None:
    """Add the columns that a table of format 1 lacks, and drop its unused index."""
    if rows.ADDED_COLUMNS[0] in table.schema.names:
        return
    table.add_columns(rows.added_fields())
    for index in table.list_indices():
        if index.columns == ["file_id"]:
            table.drop_index(index.name)


def read_file_rows(table: Any) -> list[TableRow]:
    """Return all file rows, in any order."""
    columns = [name for name in rows.FILE_COLUMNS if name in table.schema.names]
    query = table.search().where(f"chunk = {rows.FILE_ROW}").select(columns).limit(UNLIMITED)
    file_rows: list[TableRow] = query.to_arrow().to_pylist()
    return file_rows


def count_chunks(table: Any, contents: set[int]) -> dict[int, int]:
    """Return the number of chunks of each of these contents."""
    condition = f"generation IN ({rows.number_list(sorted(contents))}) AND chunk >= 0"
    query = table.search().where(condition).select(["generation"]).limit(UNLIMITED)
    return {item["values"]: item["counts"] for item in query.to_arrow()["generation"].value_counts().to_pylist()}


class Replacement(NamedTuple):
    """A file and its new chunks."""

    pipeline_id: str
    file: SourceFile
    chunks: ChunkBuffer


def build_file_rows(columns: Any, replacements: Sequence[Replacement], generation: int) -> Any:
    """Return the file rows of replacements, with ascending generations that start with ``generation``."""
    import pyarrow as pa

    by_pipeline: dict[str, list[rows.FileVersion]] = {}
    for number, (pipeline_id, file, _) in enumerate(replacements, generation):
        by_pipeline.setdefault(pipeline_id, []).append(rows.FileVersion(file, number, number))
    return pa.concat_tables([rows.build_file_rows(columns, *item) for item in by_pipeline.items()])


def as_data(columns: Any, file_rows: Any, replacements: Sequence[Replacement], generation: int) -> Any:
    """Return all rows of replacements: as a table, or as a stream if some chunks are on disk."""
    import pyarrow as pa

    chunk_rows = (
        rows.build_chunk_rows(columns, pipeline_id, file.file_id, number, *batch)
        for number, (pipeline_id, file, chunks) in enumerate(replacements, generation)
        for batch in chunks
    )
    if all(replacement.chunks.is_small for replacement in replacements):
        return pa.concat_tables([file_rows, *chunk_rows])
    tables = chain([file_rows], chunk_rows)
    return pa.RecordBatchReader.from_batches(columns, (batch for table in tables for batch in table.to_batches()))
