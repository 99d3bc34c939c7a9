"""The rows of the LanceDB table.

A stored file has one *file row* (``chunk`` is -1), with what is known about the file, and one row for each chunk. All
rows of one write carry the same ``generation`` and are added in a single commit. Of several file rows of one file, the
one with the highest generation counts. Its chunks are the chunk rows whose generation equals its ``content``.

So a file that is moved or copied gets a new file row, while its chunk rows stay unchanged, with the id that the file
had when they were stored. The file row of a moved file ``replaces`` the generation of the old one, which then no longer
counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_pipeline.ingest.store.escaping import escape, unescape
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER, TermAnalyzer
from rag_pipeline.ingest.types import Chunk, SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

    from rag_pipeline.ingest.types import Vectors

FILE_ROW = -1
"""The value of ``chunk`` in a file row."""
FILE_COLUMNS = (
    "pipeline_id",
    "file_id",
    "generation",
    "name",
    "uri",
    "content_hash",
    "size",
    "mime_type",
    "modified_at",
    "content",
    "replaces",
)
ADDED_COLUMNS = ("content", "replaces")
"""Missing in tables of format 1, which had neither moves nor copies; the next writer adds them."""


TERMS = "terms"
"""The column of the terms, separated by spaces: of a chunk's text, title and headings, and of a file's name.

It is missing in tables of format 2; the next writer adds it.
"""


def schema(model_id: str, dimensions: int) -> pa.Schema:
    """Return the table's columns, with model and format as metadata."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("pipeline_id", pa.string(), nullable=False),
            pa.field("file_id", pa.string(), nullable=False),
            pa.field("generation", pa.int64(), nullable=False),
            pa.field("chunk", pa.int32(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("uri", pa.string()),
            pa.field("content_hash", pa.string()),
            pa.field("size", pa.int64()),
            pa.field("mime_type", pa.string()),
            pa.field("modified_at", pa.float64()),
            pa.field("place", pa.string()),
            pa.field("text", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
            *added_fields(),
            terms_field(),
        ],
        metadata={"model_id": model_id, "format": "3"},
    )


def added_fields() -> list[pa.Field]:
    """Return the columns that tables of format 1 lack."""
    import pyarrow as pa

    return [pa.field(name, pa.int64()) for name in ADDED_COLUMNS]


def terms_field() -> pa.Field:
    """Return the column that tables of format 2 lack."""
    import pyarrow as pa

    return pa.field(TERMS, pa.string())


class FileVersion(NamedTuple):
    """The values of a file row: see the top of this module."""

    file: SourceFile
    generation: int
    content: int
    replaces: int | None = None


def build(
    columns: pa.Schema, pipeline_id: str, file: SourceFile, generation: int, chunks: Sequence[Chunk], vectors: Vectors
) -> pa.Table:
    """Return the file row and the chunk rows of one write."""
    import pyarrow as pa

    file_row = build_file_rows(columns, pipeline_id, [FileVersion(file, generation, generation)])
    return pa.concat_tables(
        [file_row, build_chunk_rows(columns, pipeline_id, file.file_id, generation, chunks, vectors)]
    )


def build_file_rows(
    columns: pa.Schema,
    pipeline_id: str,
    versions: Sequence[FileVersion],
    analyzer: TermAnalyzer = DEFAULT_ANALYZER,
) -> pa.Table:
    """Return file rows."""
    import pyarrow as pa

    values: dict[str, object] = {
        "pipeline_id": [escape(pipeline_id)] * len(versions),
        "file_id": [escape(version.file.file_id) for version in versions],
        "generation": [version.generation for version in versions],
        "chunk": [FILE_ROW] * len(versions),
        "name": [escape(version.file.name) for version in versions],
        "uri": [escape(version.file.uri) for version in versions],
        "content_hash": [version.file.content_hash for version in versions],
        "size": [version.file.size for version in versions],
        "mime_type": [version.file.mime_type for version in versions],
        "modified_at": [version.file.modified_at for version in versions],
        "content": [version.content for version in versions],
        "replaces": [version.replaces for version in versions],
        TERMS: [terms_of(analyzer, version.file.name) for version in versions],
    }
    return pa.table(_with_nulls(columns, values, len(versions)), schema=columns)


def build_chunk_rows(
    columns: pa.Schema,
    pipeline_id: str,
    file_id: str,
    generation: int,
    chunks: Sequence[Chunk],
    vectors: Vectors,
    analyzer: TermAnalyzer = DEFAULT_ANALYZER,
) -> pa.Table:
    """Return chunk rows."""
    import pyarrow as pa

    vector_type = columns.field("vector").type
    flat = pa.array(vectors.reshape(-1), pa.float32())
    values: dict[str, object] = {
        "pipeline_id": [escape(pipeline_id)] * len(chunks),
        "file_id": [escape(file_id)] * len(chunks),
        "generation": [generation] * len(chunks),
        "chunk": [chunk.index for chunk in chunks],
        "place": [_valid_unicode(chunk.locator) for chunk in chunks],
        "text": [_valid_unicode(chunk.text) for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(flat, vector_type.list_size).cast(vector_type),
        TERMS: [terms_of(analyzer, chunk.indexed_text) for chunk in chunks],
    }
    return pa.table(_with_nulls(columns, values, len(chunks)), schema=columns)


def _with_nulls(columns: pa.Schema, values: Mapping[str, object], count: int) -> dict[str, object]:
    """Return a value for each column, null for those without values; other values are left out."""
    import pyarrow as pa

    return {field.name: values.get(field.name, pa.nulls(count, field.type)) for field in columns}


def terms_of(analyzer: TermAnalyzer, text: str) -> str:
    """Return the terms of a text as the column has them."""
    return " ".join(analyzer.index_terms(text))


def content_of(file_row: Mapping[str, Any]) -> int:
    """Return the generation of a file's chunks."""
    content: int | None = file_row.get("content")
    return int(file_row["generation"]) if content is None else content


def source_file(file_row: Mapping[str, Any]) -> SourceFile:
    """Return the file of a file row."""
    return SourceFile(
        file_id=unescape(file_row["file_id"]),
        name=unescape(file_row["name"]),
        uri=unescape(file_row["uri"]),
        content_hash=file_row["content_hash"],
        size=file_row["size"],
        mime_type=file_row["mime_type"],
        modified_at=file_row["modified_at"],
    )


def condition(pipeline_id: str, generations: Sequence[int], contents: Sequence[int]) -> str:
    """Return the SQL condition for the file rows of ``generations`` and the chunk rows of ``contents``.

    It also matches a file row whose generation is in ``contents``: that row refers to this content, or is replaced.
    """
    both = sorted({*generations, *contents})
    matching = f"pipeline_id = {quote(escape(pipeline_id))} AND generation IN ({number_list(both)})"
    if set(generations) <= set(contents):
        return matching
    chunks = f" OR generation IN ({number_list(sorted(set(contents)))})" if contents else ""
    return f"{matching} AND (chunk = {FILE_ROW}{chunks})"


def quote(text: str) -> str:
    """Return the text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def number_list(numbers: Sequence[int]) -> str:
    """Return the numbers as an SQL list, without parentheses."""
    return ", ".join(map(str, numbers))


def _valid_unicode(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
