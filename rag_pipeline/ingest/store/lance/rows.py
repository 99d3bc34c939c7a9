"""What a row of the store's table is, and how names that aren't UTF-8 fit into it.

A stored file is one *head* row (``chunk`` -1, with what is known about the file) and one row for each chunk. All rows
of one replacement carry the same ``generation`` and are added in a single commit; of several heads of a file the one
with the highest generation counts. It shows the chunks whose generation is its ``content``. So a file that is moved or
copied gets a new head, and its chunks stay as they are, with the id the file had when they were stored. A moved file's
head ``replaces`` the generation of its old one, which then no longer counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_pipeline.ingest.types import Chunk, SourceFile

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

FILE_ROW = -1
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
# Of tables that were made before files could be moved and copied; the next writer adds them.
ADDED_COLUMNS = ("content", "replaces")
ESCAPE = "\ufdd0"  # a noncharacter, so next to never in a name; doubled where it is
_TO_ESCAPE = re.compile(r"[\ud800-\udfff\ufdd0]")
_ESCAPED = re.compile(rf"{ESCAPE}(?:{ESCAPE}|([0-9a-f]{{4}}))")


def schema(model_id: str, dimensions: int) -> pa.Schema:
    """Return the table's columns; model and format stand in its metadata."""
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
        ],
        metadata={"model_id": model_id, "format": "2"},
    )


def added_fields() -> list[pa.Field]:
    """Return the columns that tables of format 1 lack."""
    import pyarrow as pa

    return [pa.field(name, pa.int64()) for name in ADDED_COLUMNS]


class FileVersion(NamedTuple):
    """What a file's head is to say: see the top of this module."""

    file: SourceFile
    generation: int
    content: int
    replaces: int | None = None


def build(
    columns: pa.Schema, pipeline_id: str, file: SourceFile, generation: int, chunks: Sequence[Chunk], vectors: Vectors
) -> pa.Table:
    """Return the rows of one replacement: the head, then the chunks."""
    import pyarrow as pa

    head = build_file_rows(columns, pipeline_id, [FileVersion(file, generation, generation)])
    return pa.concat_tables([head, build_chunk_rows(columns, pipeline_id, file.file_id, generation, chunks, vectors)])


def build_file_rows(columns: pa.Schema, pipeline_id: str, heads: Sequence[FileVersion]) -> pa.Table:
    """Return the rows of files alone."""
    import pyarrow as pa

    values: dict[str, list[object]] = {
        "pipeline_id": [escape(pipeline_id)] * len(heads),
        "file_id": [escape(head.file.file_id) for head in heads],
        "generation": [head.generation for head in heads],
        "chunk": [FILE_ROW] * len(heads),
        "name": [escape(head.file.name) for head in heads],
        "uri": [escape(head.file.uri) for head in heads],
        "content_hash": [head.file.content_hash for head in heads],
        "size": [head.file.size for head in heads],
        "mime_type": [head.file.mime_type for head in heads],
        "modified_at": [head.file.modified_at for head in heads],
        "content": [head.content for head in heads],
        "replaces": [head.replaces for head in heads],
    }
    return pa.table(_filled(columns, values, len(heads)), schema=columns)


def build_chunk_rows(
    columns: pa.Schema, pipeline_id: str, file_id: str, generation: int, chunks: Sequence[Chunk], vectors: Vectors
) -> pa.Table:
    """Return the rows of chunks alone."""
    import pyarrow as pa

    vector_type = columns.field("vector").type
    flat = pa.array(vectors.reshape(-1), pa.float32())
    values: dict[str, object] = {
        "pipeline_id": [escape(pipeline_id)] * len(chunks),
        "file_id": [escape(file_id)] * len(chunks),
        "generation": [generation] * len(chunks),
        "chunk": [chunk.index for chunk in chunks],
        "place": [_clean(chunk.locator) for chunk in chunks],
        "text": [_clean(chunk.text) for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(flat, vector_type.list_size).cast(vector_type),
    }
    return pa.table(_filled(columns, values, len(chunks)), schema=columns)


def _filled(columns: pa.Schema, values: Mapping[str, object], count: int) -> dict[str, object]:
    import pyarrow as pa

    return {field.name: values.get(field.name, pa.nulls(count, field.type)) for field in columns}


def content_of(head: Mapping[str, Any]) -> int:
    """Return the generation of the chunks that a head shows."""
    content: int | None = head.get("content")
    return int(head["generation"]) if content is None else content


def source_file(row: Mapping[str, Any]) -> SourceFile:
    """Return the file a head row describes."""
    return SourceFile(
        file_id=unescape(row["file_id"]),
        name=unescape(row["name"]),
        uri=unescape(row["uri"]),
        content_hash=row["content_hash"],
        size=row["size"],
        mime_type=row["mime_type"],
        modified_at=row["modified_at"],
    )


def check_moves(moves: Mapping[str, SourceFile]) -> None:
    """Raise ValueError if two files are to have one id."""
    if len({file.file_id for file in moves.values()}) < len(moves):
        raise ValueError("moves: two files are to have the same id")


def copies_by_id(copies: Iterable[tuple[str, SourceFile]]) -> dict[str, tuple[str, SourceFile]]:
    """Return the copies by new id."""
    return {file.file_id: (from_id, file) for from_id, file in copies}


def overwritten_sources(by_id: Mapping[str, tuple[str, SourceFile]]) -> list[str]:
    """Return the ids of the files that are copied and, by another copy, overwritten: of two that swap, both."""
    sources = dict.fromkeys(from_id for from_id, _ in by_id.values())
    return [from_id for from_id in sources if from_id in by_id and by_id[from_id][0] != from_id]


def condition(pipeline_id: str, generations: Sequence[int], contents: Sequence[int]) -> str:
    """Return the SQL that picks the heads of these generations, and the chunks of these contents.

    A head of the same generation as one of the contents is picked with it: it shows that content, or it is replaced.
    """
    both = sorted({*generations, *contents})
    picked = f"pipeline_id = {quote(escape(pipeline_id))} AND generation IN ({_listed(both)})"
    if set(generations) <= set(contents):
        return picked
    chunks = f" OR generation IN ({_listed(sorted(set(contents)))})" if contents else ""
    return f"{picked} AND (chunk = {FILE_ROW}{chunks})"


def escape(name: str) -> str:
    """Return the name as Unicode text: a byte that isn't UTF-8, a lone surrogate in Python, becomes an escape."""
    return _TO_ESCAPE.sub(_escaped, name)


def unescape(text: str) -> str:
    """Return the name that :func:`escape` was given."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else ESCAPE, text)


def _escaped(match: re.Match[str]) -> str:
    return ESCAPE * 2 if match[0] == ESCAPE else f"{ESCAPE}{ord(match[0]):04x}"


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def quote(text: str) -> str:
    """Return the text as a literal in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
