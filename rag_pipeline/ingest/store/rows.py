"""What a row of the store's table is, and how names that aren't UTF-8 fit into it.

A stored file is one *head* row (``chunk`` -1, with what is known about the file) and one row for each chunk. All rows
of one replacement carry the same ``generation`` and are added in a single commit; of several heads of a file the one
with the highest generation counts, and so do the chunks of that generation alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_pipeline.ingest.types import Chunk, SourceFile

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

HEAD = -1
HEAD_COLUMNS = (
    "pipeline_id",
    "file_id",
    "generation",
    "name",
    "uri",
    "content_hash",
    "size",
    "mime_type",
    "modified_at",
)
ESCAPE = "\ufdd0"  # a noncharacter, so next to never in a name; doubled where it is


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
        ],
        metadata={"model_id": model_id, "format": "1"},
    )


def build(
    columns: pa.Schema, pipeline_id: str, file: SourceFile, generation: int, chunks: Sequence[Chunk], vectors: Vectors
) -> pa.Table:
    """Return the rows of one replacement: the head, then the chunks."""
    import pyarrow as pa

    width = columns.field("vector").type.list_size
    count = len(chunks)
    head: dict[str, object] = {
        "name": escape(file.name),
        "uri": escape(file.uri),
        "content_hash": file.content_hash,
        "size": file.size,
        "mime_type": file.mime_type,
        "modified_at": file.modified_at,
        "place": None,
        "text": None,
    }
    values: dict[str, object] = {key: [value] + [None] * count for key, value in head.items()}
    values["place"] = [None, *(_clean(chunk.place) for chunk in chunks)]
    values["text"] = [None, *(_clean(chunk.text) for chunk in chunks)]
    values["pipeline_id"] = [escape(pipeline_id)] * (count + 1)
    values["file_id"] = [escape(file.file_id)] * (count + 1)
    values["generation"] = [generation] * (count + 1)
    values["chunk"] = [HEAD, *(chunk.index for chunk in chunks)]
    flat = pa.array(vectors.reshape(-1), pa.float32())
    vector_type = columns.field("vector").type
    values["vector"] = pa.concat_arrays(
        [pa.nulls(1, vector_type), pa.FixedSizeListArray.from_arrays(flat, width).cast(vector_type)]
    )
    return pa.table(values, schema=columns)


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


def condition(pipeline_id: str, file_id: str) -> str:
    """Return the SQL that picks the rows of one file."""
    return f"file_id = {quote(escape(file_id))} AND pipeline_id = {quote(escape(pipeline_id))}"


def escape(name: str) -> str:
    """Return the name as Unicode text: a byte that isn't UTF-8, a lone surrogate in Python, becomes an escape."""
    return re.sub(r"[\ud800-\udfff\ufdd0]", _escaped, name)


def unescape(text: str) -> str:
    """Return the name that :func:`escape` was given."""
    return re.sub(rf"{ESCAPE}(?:{ESCAPE}|([0-9a-f]{{4}}))", lambda m: chr(int(m[1], 16)) if m[1] else ESCAPE, text)


def _escaped(match: re.Match[str]) -> str:
    return ESCAPE * 2 if match[0] == ESCAPE else f"{ESCAPE}{ord(match[0]):04x}"


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def quote(text: str) -> str:
    """Return the text as a literal in SQL."""
    return "'" + text.replace("'", "''") + "'"
