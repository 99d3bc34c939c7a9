"""Operations on the LanceDB table: indexes, columns, and rows in and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from rag_pipeline.ingest.headings import heading_path
from rag_pipeline.ingest.store.chunk_buffer import ChunkBuffer
from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import TableRow
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER, TermAnalyzer
from rag_pipeline.ingest.types import SourceFile

ROWS_AT_ONCE = 5_000
UNLIMITED = 1 << 31
"""The limit of queries that return all rows."""


_UNUSED_INDEXES = (["file_id"], ["text"])  # of formats 1 and 2


def create_indexes(table: Any) -> None:
    """Create the indexes that the table lacks."""
    from lancedb.index import FTS, BTree

    present = {column for index in table.list_indices() for column in index.columns}
    if rows.TERMS not in present:
        # The terms are made when they are stored and asked for, so the index only separates them.
        index = FTS(
            base_tokenizer="whitespace",
            lower_case=False,
            stem=False,
            remove_stop_words=False,
            ascii_folding=False,
            max_token_length=None,
        )
        table.create_index(rows.TERMS, config=index)
    if "generation" not in present:
        table.create_index("generation", config=BTree())


def upgrade(table: Any, analyzer: TermAnalyzer = DEFAULT_ANALYZER) -> int:
    """Add the columns and terms that a table of an older format lacks; return the number of rows that got terms.

    It can be interrupted at any time: the next call adds the rest.
    """
    names = table.schema.names
    if rows.ADDED_COLUMNS[0] not in names:
        table.add_columns(rows.added_fields())
    if rows.TERMS not in names:
        table.add_columns([rows.terms_field()])
    added = _add_terms(table, analyzer)
    for index in table.list_indices():
        if index.columns in _UNUSED_INDEXES:
            table.drop_index(index.name)
    return added


def _add_terms(table: Any, analyzer: TermAnalyzer) -> int:
    import pyarrow as pa

    keys = ["pipeline_id", "file_id", "generation", "chunk"]
    columns = [*keys, "name", "place", "text"]
    total = 0
    while found := (
        table.search().where(f"{rows.TERMS} IS NULL").select(columns).limit(ROWS_AT_ONCE).to_arrow().to_pylist()
    ):
        fields = [table.schema.field(name) for name in (*keys, rows.TERMS)]
        values = {name: [row[name] for row in found] for name in keys}
        values[rows.TERMS] = [rows.terms_of(analyzer, _text_of(row)) for row in found]
        update = pa.table(values, schema=pa.schema(fields))
        table.merge_insert(keys).when_matched_update_all().execute(update)
        total += len(found)
    return total


def _text_of(row: TableRow) -> str:
    """Return the text whose terms a row of an older format should have; titles were not kept."""
    if row["chunk"] == rows.FILE_ROW:
        return unescape(row["name"])
    return f"{heading_path(row['place'])}\n{row['text']}"


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


def build_file_rows(
    columns: Any,
    replacements: Sequence[Replacement],
    generation: int,
    analyzer: TermAnalyzer = DEFAULT_ANALYZER,
) -> Any:
    """Return the file rows of replacements, with ascending generations that start with ``generation``."""
    import pyarrow as pa

    by_pipeline: dict[str, list[rows.FileVersion]] = {}
    for number, (pipeline_id, file, _) in enumerate(replacements, generation):
        by_pipeline.setdefault(pipeline_id, []).append(rows.FileVersion(file, number, number))
    return pa.concat_tables([rows.build_file_rows(columns, *item, analyzer) for item in by_pipeline.items()])


def as_data(
    columns: Any,
    file_rows: Any,
    replacements: Sequence[Replacement],
    generation: int,
    analyzer: TermAnalyzer = DEFAULT_ANALYZER,
) -> Any:
    """Return all rows of replacements: as a table, or as a stream if some chunks are on disk."""
    import pyarrow as pa

    chunk_rows = (
        rows.build_chunk_rows(columns, pipeline_id, file.file_id, number, *batch, analyzer)
        for number, (pipeline_id, file, chunks) in enumerate(replacements, generation)
        for batch in chunks
    )
    if all(replacement.chunks.is_small for replacement in replacements):
        return pa.concat_tables([file_rows, *chunk_rows])
    tables = chain([file_rows], chunk_rows)
    return pa.RecordBatchReader.from_batches(columns, (batch for table in tables for batch in table.to_batches()))
