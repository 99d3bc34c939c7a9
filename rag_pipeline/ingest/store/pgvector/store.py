"""The vector store on PostgreSQL: one schema of four tables, written by any number of processes at once."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.chunk_buffer import CHUNKS_AT_ONCE, ChunkBatch, ChunkBuffer, check_batch
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.pgvector import maintenance, schema, statements, values
from rag_pipeline.ingest.store.pgvector.connection_pool import (
    RECONNECT_SECONDS,
    ConnectionPool,
    PgConnection,
    transaction,
)
from rag_pipeline.ingest.store.pgvector.lease import Leases
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.store.pgvector.search import search
from rag_pipeline.ingest.store.pgvector.words import index_text
from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile, StoredPipeline, StoreFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

_T = TypeVar("_T")

_FILES_AT_ONCE = 2_000
_REMOVED_AT_ONCE = 1_000
_COPIED_AT_ONCE = 100
_LOCKS = 256
"""Files share this many locks, so a move of thousands of files takes no more of the server's memory for locks."""


class PgVectorStore:
    """Chunks of every file in a PostgreSQL database; safe under threads and for many writing processes.

    ``replace`` and ``delete`` are one transaction each, and a search sees one moment. The tables are made by the first
    write, or by :meth:`prepare`: opening a store and searching it write nothing. Every call connects when it has to,
    and waits ``patience_seconds`` for a server that is away; ``stop`` ends the wait with Stopped.

    With an ``owner`` what it lists or writes of a pipeline is its alone until it is closed: :class:`StateError` says
    that another owner has it, see :class:`Leases`. Chunks of long files wait in ``spool_dir`` until all of them are
    embedded.
    """

    def __init__(
        self,
        address: PostgresAddress,
        model_id: str,
        dimensions: int,
        *,
        patience_seconds: float = RECONNECT_SECONDS,
        stop: threading.Event | None = None,
        owner: str | None = None,
        spool_dir: Path | None = None,
    ) -> None:
        """Connect; raises StoreError if that can't be done, or the store holds another model's vectors."""
        self._address = address
        self._model_id = model_id
        self._dimensions = dimensions
        self._link = ConnectionPool(address, patience_seconds=patience_seconds, stop=stop)
        self._leases = None if owner is None else Leases(self._link, address, owner)
        self._spool_dir = spool_dir
        self._layout: StoreSchema | None = None  # once known it stays; two threads find the same
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

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]) -> None:
        """Make these the file's only chunks: whatever happens, the store holds the old ones or the new ones, once.

        The vectors of a batch are (len(chunks), dimensions); a file without chunks is still listed by :meth:`files`.
        No connection is held before the last batch is there.
        """
        doing = f"storing {values.escape(file.name)!r}"
        with ChunkBuffer(self._spool_dir) as spool:
            for chunks, vectors in batches:
                checked = check_batch(chunks, vectors, self._dimensions)
                try:
                    spool.add(chunks, checked)
                except OSError as error:
                    where = self._spool_dir or "the folder for temporary files"
                    raise StoreError(f"{where}: {doing} failed: {error.strerror}") from error
            self._link.run(doing, lambda connection: self._replace(connection, pipeline_id, file, spool))

    def _replace(
        self, connection: PgConnection, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]
    ) -> None:
        layout = self._layout or self._make(connection)
        with self._writing(connection, layout, pipeline_id):
            _lock(connection, layout, pipeline_id, [file.file_id])
            key = _put_file(connection, layout, pipeline_id, file)
            for chunks, vectors in batches:
                columns = _columns(chunks, values.as_vectors(vectors, layout.vector_oid))
                connection.execute(layout.sql(statements.PUT_CHUNKS), [key, *columns])

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Give a stored file another name and address, its chunks left as they are; no error if it isn't stored."""

        def work(connection: PgConnection) -> None:
            if (layout := self._find(connection)) is not None:
                with self._writing(connection, layout, pipeline_id):
                    names = [values.escape(given) for given in (name, uri, file_id, file_id, pipeline_id)]
                    connection.execute(layout.sql(statements.RENAME), names)

        self._link.run(f"renaming {values.escape(file_id)!r}", work)

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Make a stored file the one that is given, with its chunks as they are; return whether it was stored."""
        return old_file_id in self.move_many(pipeline_id, {old_file_id: file})

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files, all in one transaction, and return the chunks of each that was stored, by old id."""
        rows.check_moves(moves)

        def work(connection: PgConnection) -> dict[str, int]:
            if not moves or (layout := self._find(connection)) is None:
                return {}
            with self._writing(connection, layout, pipeline_id):
                new_ids = [file.file_id for file in moves.values()]
                _lock(connection, layout, pipeline_id, [*moves, *new_ids])
                stored = _stored(connection, layout, pipeline_id, {*moves, *new_ids})
                moved = {old_id: file for old_id, file in moves.items() if old_id in stored}
                replaced = {file.file_id for file in moved.values()} - set(moved)
                keys = [stored[file_id] for file_id in replaced if file_id in stored]
                connection.execute(layout.sql(statements.DELETE_KEYS), [keys])
                heads = [[stored[old_id], *_head(pipeline_id, file)[1:]] for old_id, file in moved.items()]
                if heads:
                    connection.execute(
                        layout.sql(statements.MOVE), [list(column) for column in zip(*heads, strict=True)]
                    )
                given = [[stored[old_id] for old_id in moved]]
                counts: dict[UUID, int] = dict(
                    connection.execute(layout.sql(statements.COUNT_CHUNKS_OF), given).fetchall()
                )
            return {old_id: counts.get(stored[old_id], 0) for old_id in moved}

        return self._link.run(f"moving {len(moves)} files", work)

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks and vectors of a stored one; return their number, None if it is not stored."""
        return self.copy_many(pipeline_id, [(from_file_id, file)]).get(file.file_id)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files, 100 in a transaction; return the chunks of each that was stored, by new id.

        All of them in one transaction if files that are copied are overwritten too, as when two swap their texts.
        """
        by_id = rows.copies_by_id(copies)
        overwritten = rows.overwritten_sources(by_id)
        counts: dict[str, int] = {}
        for some in _batches(list(by_id.values()), max(1, len(by_id)) if overwritten else _COPIED_AT_ONCE):

            def work(connection: PgConnection, some: Sequence[tuple[str, SourceFile]] = some) -> dict[str, int]:
                if (layout := self._find(connection)) is None:
                    return {}
                with self._writing(connection, layout, pipeline_id):
                    _lock(connection, layout, pipeline_id, [name for old, new in some for name in (old, new.file_id)])
                    stored = _stored(connection, layout, pipeline_id, {from_id for from_id, _ in some})
                    aside = _put_aside(connection, layout, pipeline_id, stored, dict(some), overwritten)
                    sources = stored | aside
                    copied = {
                        file.file_id: _copy(connection, layout, pipeline_id, sources[from_id], file)
                        for from_id, file in some
                        if from_id in sources
                    }
                    connection.execute(layout.sql(statements.DELETE_KEYS), [list(aside.values())])
                    return copied

            counts |= self._link.run(f"copying {len(some)} files", work)
        return counts

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""
        self.delete_many(pipeline_id, [file_id])

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove the chunks of many files, 1,000 in a transaction; no error for files that are not stored."""
        for some in _batches(list(file_ids), _REMOVED_AT_ONCE):

            def work(connection: PgConnection, some: Sequence[str] = some) -> None:
                if (layout := self._find(connection)) is not None:
                    with self._writing(connection, layout, pipeline_id):
                        escaped = [values.escape(file_id) for file_id in some]
                        connection.execute(
                            layout.sql(statements.DELETE), [escaped, escaped, values.escape(pipeline_id)]
                        )

            doing = f"{values.escape(some[0])!r}" if len(some) == 1 else f"{len(some)} files"
            self._link.run(f"removing {doing}", work)

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return one stored file; None if it isn't stored."""
        asked = {"pipeline": values.escape(pipeline_id), "file": values.escape(file_id)}

        def work(connection: PgConnection) -> SourceFile | None:
            if (layout := self._find(connection)) is None:
                return None
            row = connection.execute(layout.sql(statements.FILE), asked).fetchone()
            return None if row is None else SourceFile(file_id, rows.unescape(row[0]), rows.unescape(row[1]), *row[2:])

        return self._link.run(f"looking for {values.escape(file_id)!r}", work)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the files whose chunks are stored, by file_id."""
        escaped = values.escape(pipeline_id)

        def work(connection: PgConnection) -> dict[str, SourceFile]:
            found: dict[str, SourceFile] = {}
            if (layout := self._find(connection)) is not None:
                if self._leases is not None:
                    self._leases.claim(connection, layout, pipeline_id)
                with transaction(connection, statements.BEGIN), connection.cursor(name="files") as cursor:
                    cursor.itersize = _FILES_AT_ONCE
                    for row in cursor.execute(layout.sql(statements.FILES), [escaped, escaped]):
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

        def work(connection: PgConnection) -> list[SearchHit]:
            layout = self._find(connection)
            return [] if layout is None or limit < 1 else search(connection, layout, question, vector, limit)

        return self._link.run("searching", work)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return what is stored of each pipeline, by pipeline id, and who has its lease."""

        def work(connection: PgConnection) -> dict[str, StoredPipeline]:
            layout = self._find(connection)
            return {} if layout is None else maintenance.pipelines(connection, layout)

        return self._link.run("counting the stored files", work)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline, some at a time: after a kill a part is left, and the next call removes it."""

        def work(connection: PgConnection) -> None:
            layout = self._find(connection)
            more = layout is not None
            while layout is not None and more:
                with self._writing(connection, layout, pipeline_id):
                    more = maintenance.drop_some(connection, layout, pipeline_id)

        self._link.run(f"removing {values.escape(pipeline_id)!r}", work)

    def faults(self) -> list[StoreFault]:
        """Return the rows that no write leaves; writes nothing."""

        def work(connection: PgConnection) -> list[StoreFault]:
            layout = self._find(connection)
            return [] if layout is None else maintenance.faults(connection, layout)

        return self._link.run("checking the vector store", work)

    def tidy(self) -> None:
        """Have the server free the space of deleted rows now, which it does later by itself."""

        def work(connection: PgConnection) -> None:
            if (layout := self._find(connection)) is not None:
                maintenance.tidy(connection, layout)

        self._link.run("compacting the vector store", work)

    def close(self) -> None:
        """Close the connections; idempotent. Every write is committed when it returns, so nothing is flushed."""
        if self._leases is not None:
            self._leases.close()
        self._link.close()

    @contextmanager
    def _writing(self, connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> Iterator[None]:
        """Commit what is done inside, if the pipeline is this owner's."""
        if self._leases is not None:
            self._leases.claim(connection, layout, pipeline_id)
        with transaction(connection, statements.BEGIN):
            yield
            if self._leases is not None:
                self._leases.confirm(connection, layout, pipeline_id)

    def _find(self, connection: PgConnection) -> StoreSchema | None:
        if self._layout is None:
            self._layout = schema.find_store(connection, self._address, self._model_id, self._dimensions)
        return self._layout

    def _make(self, connection: PgConnection) -> StoreSchema:
        self._layout = schema.create_store(connection, self._address, self._model_id, self._dimensions)
        return self._layout


def _lock(connection: PgConnection, layout: StoreSchema, pipeline_id: str, file_ids: Iterable[str]) -> None:
    """Hold the files until the end of the transaction, so that two who write one do so one after the other."""
    locks = sorted({values.file_key(pipeline_id, file_id).int % _LOCKS for file_id in file_ids})
    connection.execute(statements.LOCK, [values.lock_class(layout.schema), locks])


def _stored(
    connection: PgConnection, layout: StoreSchema, pipeline_id: str, file_ids: Collection[str]
) -> dict[str, UUID]:
    """Return the keys of the files that are stored, by id."""
    escaped = {values.escape(file_id): file_id for file_id in file_ids}
    given = [list(escaped), list(escaped), values.escape(pipeline_id)]
    found = connection.execute(layout.sql(statements.STORED), given).fetchall()
    return {escaped[file_id]: key for file_id, key in found}


def _put_file(connection: PgConnection, layout: StoreSchema, pipeline_id: str, file: SourceFile) -> UUID:
    """Put the file's row, and remove its chunks; return its key."""
    key = _stored(connection, layout, pipeline_id, [file.file_id]).get(file.file_id) or uuid4()
    connection.execute(layout.sql(statements.PUT_FILE), [key, *_head(pipeline_id, file)])
    connection.execute(layout.sql(statements.DELETE_CHUNKS), [key])
    return key


def _copy(connection: PgConnection, layout: StoreSchema, pipeline_id: str, source: UUID, file: SourceFile) -> int:
    """Give the file the chunks of the other one; return their number."""
    stored = _stored(connection, layout, pipeline_id, [file.file_id]).get(file.file_id)
    if stored == source:
        connection.execute(layout.sql(statements.PUT_FILE), [source, *_head(pipeline_id, file)])
        row = connection.execute(layout.sql(statements.COUNT_CHUNKS), [source]).fetchone()
        return int(row[0]) if row is not None else 0
    target = _put_file(connection, layout, pipeline_id, file)
    total, after = 0, -1
    while True:
        given = {"source": source, "target": target, "after": after, "most": CHUNKS_AT_ONCE}
        row = connection.execute(layout.sql(statements.COPY_CHUNKS), given).fetchone()
        if row is None or not row[0]:
            return total
        total, after = total + row[0], row[1]


def _put_aside(
    connection: PgConnection,
    layout: StoreSchema,
    pipeline_id: str,
    stored: Mapping[str, UUID],
    copies: Mapping[str, SourceFile],
    file_ids: Iterable[str],
) -> dict[str, UUID]:
    """Copy files that are about to be overwritten to others, which are not seen outside; return their keys by id."""
    names = {file_id: f"{file_id} {uuid4()}" for file_id in file_ids if file_id in stored}
    for file_id, name in names.items():
        _copy(connection, layout, pipeline_id, stored[file_id], with_fields(copies[file_id], file_id=name))
    keys = _stored(connection, layout, pipeline_id, names.values())
    return {file_id: keys[name] for file_id, name in names.items()}


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _head(pipeline_id: str, file: SourceFile) -> list[Any]:
    names = [values.escape(name) for name in (pipeline_id, file.file_id, file.name, file.uri)]
    return [*names, file.content_hash, file.size, file.mime_type, file.modified_at]


def _columns(chunks: Sequence[Chunk], vectors: values.Binary) -> list[Any]:
    texts = [values.clean(chunk.text) for chunk in chunks]
    places = [values.clean(chunk.locator) for chunk in chunks]
    return [[chunk.index for chunk in chunks], places, texts, [index_text(text) for text in texts], vectors]
