"""The vector store on PostgreSQL: one schema of four tables, written by any number of processes at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

from rag_pipeline.ingest.store import rows
from rag_pipeline.ingest.store.pgvector import schema, upkeep, values
from rag_pipeline.ingest.store.pgvector.address import PostgresAddress
from rag_pipeline.ingest.store.pgvector.lease import Leases
from rag_pipeline.ingest.store.pgvector.link import PATIENCE_SECONDS, Connection, Link, transaction
from rag_pipeline.ingest.store.pgvector.schema import Layout
from rag_pipeline.ingest.store.pgvector.searching import search
from rag_pipeline.ingest.store.pgvector.words import to_index
from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile, StoredPipeline, StoreFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_CHUNKS_AT_ONCE = 500
_FILES_AT_ONCE = 2_000

# A client that stopped in the middle holds up those who want the same file.
_BEGIN: LiteralString = """
BEGIN; SET LOCAL statement_timeout = '120s'; SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
# The row of the file is locked from here to the commit, so that two who replace one file do so one after the other.
# Deleting is a statement of its own: a statement does not see what was committed while it waited for a lock.
_PUT_FILE: LiteralString = """
INSERT INTO {schema}.files (key, pipeline_id, file_id, name, uri, content_hash, size, mime_type, modified_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET (name, uri, content_hash, size, mime_type, modified_at) = (
    excluded.name, excluded.uri, excluded.content_hash, excluded.size, excluded.mime_type, excluded.modified_at
)
"""
_DELETE_CHUNKS: LiteralString = "DELETE FROM {schema}.chunks WHERE file = %s"
_PUT_CHUNKS: LiteralString = """
INSERT INTO {schema}.chunks (file, number, place, text, words, embedding)
SELECT %s, number, place, text, to_tsvector('pg_catalog.english', words), embedding
FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %b::{vector}[])
    AS chunk (number, place, text, words, embedding)
"""
_FILES: LiteralString = """
SELECT file_id, name, uri, content_hash, size, mime_type, modified_at FROM {schema}.files
WHERE hashtextextended(pipeline_id, 0) = hashtextextended(%s, 0) AND pipeline_id = %s
"""


class PgVectorStore:
    """Chunks of every file in a PostgreSQL database; safe under threads and for many writing processes.

    ``replace`` and ``delete`` are one transaction each, and a search sees one moment. The tables are made by the first
    write, or by :meth:`prepare`: opening a store and searching it write nothing. Every call connects when it has to,
    and waits ``patience_seconds`` for a server that is away; ``stop`` ends the wait with Stopped.

    With an ``owner`` what it lists or writes of a pipeline is its alone until it is closed: :class:`StateError` says
    that another owner has it, see :class:`Leases`.
    """

    def __init__(
        self,
        address: PostgresAddress,
        model_id: str,
        dimensions: int,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        stop: threading.Event | None = None,
        owner: str | None = None,
    ) -> None:
        """Connect; raises StoreError if that can't be done, or the store holds another model's vectors."""
        self._address = address
        self._model_id = model_id
        self._dimensions = dimensions
        self._link = Link(address, patience_seconds=patience_seconds, stop=stop)
        self._leases = None if owner is None else Leases(self._link, address, owner)
        self._layout: Layout | None = None  # once known it stays; two threads find the same
        try:
            self._link.run("opening the vector store", self._find)
        except BaseException:
            self.close()
            raise

    @property
    def exists(self) -> bool:
        """Whether there are tables yet."""
        return self._link.run("opening the vector store", self._find) is not None

    def prepare(self) -> None:
        """Make what is missing of the tables now, so that a missing right is told before the first file is read."""
        self._link.run("making the vector store", self._make)

    def replace(self, pipeline_id: str, file: SourceFile, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Make these the file's only chunks: whatever happens, the store holds the old ones or the new ones, once.

        ``vectors`` is (len(chunks), dimensions); a file without chunks is still listed by :meth:`files`.
        """
        import numpy as np

        vectors = np.ascontiguousarray(vectors, np.float32).reshape(-1, self._dimensions)
        if len(vectors) != len(chunks) or not np.all(np.isfinite(vectors)):
            raise ValueError(f"vectors: expected {len(chunks)} finite rows of {self._dimensions}")
        key = values.file_key(pipeline_id, file.file_id)

        def work(connection: Connection) -> None:
            layout = self._layout or self._make(connection)
            with self._writing(connection, layout, pipeline_id):
                connection.execute(layout.sql(_PUT_FILE), [key, *_head(pipeline_id, file)])
                connection.execute(layout.sql(_DELETE_CHUNKS), [key])
                for start in range(0, len(chunks), _CHUNKS_AT_ONCE):
                    end = start + _CHUNKS_AT_ONCE
                    some = _columns(chunks[start:end], values.as_vectors(vectors[start:end], layout.vector_oid))
                    connection.execute(layout.sql(_PUT_CHUNKS), [key, *some])

        self._link.run(f"storing {values.escape(file.name)!r}", work)

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Give a stored file another name and address, its chunks left as they are; no error if it isn't stored."""

        def work(connection: Connection) -> None:
            if (layout := self._find(connection)) is not None:
                with self._writing(connection, layout, pipeline_id):
                    statement = layout.sql("UPDATE {schema}.files SET name = %s, uri = %s WHERE key = %s")
                    key = values.file_key(pipeline_id, file_id)
                    connection.execute(statement, [values.escape(name), values.escape(uri), key])

        self._link.run(f"renaming {values.escape(file_id)!r}", work)

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""

        def work(connection: Connection) -> None:
            if (layout := self._find(connection)) is not None:
                with self._writing(connection, layout, pipeline_id):
                    statement = layout.sql("DELETE FROM {schema}.files WHERE key = %s")
                    connection.execute(statement, [values.file_key(pipeline_id, file_id)])

        self._link.run(f"removing {values.escape(file_id)!r}", work)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the files whose chunks are stored, by file_id."""
        escaped = values.escape(pipeline_id)

        def work(connection: Connection) -> dict[str, SourceFile]:
            found: dict[str, SourceFile] = {}
            if (layout := self._find(connection)) is not None:
                if self._leases is not None:
                    self._leases.claim(connection, layout, pipeline_id)
                with transaction(connection, _BEGIN), connection.cursor(name="files") as cursor:
                    cursor.itersize = _FILES_AT_ONCE
                    for row in cursor.execute(layout.sql(_FILES), [escaped, escaped]):
                        file_id, name, uri, *rest = row
                        file = SourceFile(rows.unescape(file_id), rows.unescape(name), rows.unescape(uri), *rest)
                        found[file.file_id] = file
            return found

        return self._link.run("reading the stored files", work)

    def search(self, question: str, vector: Vectors, *, limit: int = 5) -> list[SearchHit]:
        """Return the best chunks, best first: words by weighted rank and cosine over the vectors, fused by rank.

        ``vector`` is 1-D. The score is 0..1, where 1 is first by words and by meaning; equal scores are ordered by
        file and place, so the same question on the same store has the same answer.
        """

        def work(connection: Connection) -> list[SearchHit]:
            layout = self._find(connection)
            return [] if layout is None or limit < 1 else search(connection, layout, question, vector, limit)

        return self._link.run("searching", work)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return what is stored of each pipeline, by pipeline id, and who has its lease."""

        def work(connection: Connection) -> dict[str, StoredPipeline]:
            layout = self._find(connection)
            return {} if layout is None else upkeep.pipelines(connection, layout)

        return self._link.run("counting the stored files", work)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline, some at a time: after a kill a part is left, and the next call removes it."""

        def work(connection: Connection) -> None:
            layout = self._find(connection)
            more = layout is not None
            while layout is not None and more:
                with self._writing(connection, layout, pipeline_id):
                    more = upkeep.drop_some(connection, layout, pipeline_id)

        self._link.run(f"removing {values.escape(pipeline_id)!r}", work)

    def faults(self) -> list[StoreFault]:
        """Return the rows that no write leaves; writes nothing."""

        def work(connection: Connection) -> list[StoreFault]:
            layout = self._find(connection)
            return [] if layout is None else upkeep.faults(connection, layout)

        return self._link.run("checking the vector store", work)

    def tidy(self) -> None:
        """Have the server free the space of deleted rows now, which it does later by itself."""

        def work(connection: Connection) -> None:
            if (layout := self._find(connection)) is not None:
                upkeep.tidy(connection, layout)

        self._link.run("compacting the vector store", work)

    def close(self) -> None:
        """Close the connections; idempotent. Every write is committed when it returns, so nothing is flushed."""
        if self._leases is not None:
            self._leases.close()
        self._link.close()

    @contextmanager
    def _writing(self, connection: Connection, layout: Layout, pipeline_id: str) -> Iterator[None]:
        """Commit what is done inside, if the pipeline is this owner's."""
        if self._leases is not None:
            self._leases.claim(connection, layout, pipeline_id)
        with transaction(connection, _BEGIN):
            yield
            if self._leases is not None:
                self._leases.confirm(connection, layout, pipeline_id)

    def _find(self, connection: Connection) -> Layout | None:
        if self._layout is None:
            self._layout = schema.find(connection, self._address, self._model_id, self._dimensions)
        return self._layout

    def _make(self, connection: Connection) -> Layout:
        self._layout = schema.make(connection, self._address, self._model_id, self._dimensions)
        return self._layout


def _head(pipeline_id: str, file: SourceFile) -> list[Any]:
    names = [values.escape(name) for name in (pipeline_id, file.file_id, file.name, file.uri)]
    return [*names, file.content_hash, file.size, file.mime_type, file.modified_at]


def _columns(chunks: Sequence[Chunk], vectors: values.Binary) -> list[Any]:
    texts = [values.clean(chunk.text) for chunk in chunks]
    places = [values.clean(chunk.place) for chunk in chunks]
    return [[chunk.index for chunk in chunks], places, texts, [to_index(text) for text in texts], vectors]
