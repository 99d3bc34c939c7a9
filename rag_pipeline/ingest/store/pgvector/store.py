"""The vector store on PostgreSQL: one schema with four tables, for any number of writing processes."""

from __future__ import annotations

import logging
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
from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.moves import check_moves, copies_by_id, overwritten_sources
from rag_pipeline.ingest.store.pgvector import maintenance, statements, values
from rag_pipeline.ingest.store.pgvector.connection_pool import (
    RECONNECT_SECONDS,
    ConnectionPool,
    PgConnection,
    transaction,
)
from rag_pipeline.ingest.store.pgvector.lease import Leases
from rag_pipeline.ingest.store.pgvector.reindex import index_old_rows
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema, create_store, find_store
from rag_pipeline.ingest.store.pgvector.search import Question, search
from rag_pipeline.ingest.store.pgvector.term_vectors import as_tsvector
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER, TermAnalyzer
from rag_pipeline.ingest.types import (
    EVERY_FILE,
    NO_FLOOR,
    Chunk,
    SearchFilter,
    SearchFloor,
    SearchHit,
    SourceFile,
    StoredPipeline,
    StoreFault,
)

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

OLD_WORDS = (
    "an older version made the store, so only the meaning of texts is searched, not their words, until a pipeline that "
    "stores here is started again"
)
_FILES_AT_ONCE = 2_000
_DELETED_AT_ONCE = 1_000
_COPIED_AT_ONCE = 100
_LOCKS = 256
"""All files share this many locks, so a move of thousands of files takes little of the server's lock memory."""


class PgVectorStore:
    """Chunks of all files in a PostgreSQL database; safe under threads and for many writing processes.

    ``replace`` and ``delete`` are one transaction each, and a search reads one snapshot. The first write creates the
    tables, or :meth:`prepare` does: opening a store and searching it write nothing. Every call connects if necessary,
    and waits up to ``reconnect_seconds`` for an unreachable server; ``stop`` ends the wait with Stopped.

    A store with an ``owner`` leases each pipeline that it lists or writes, until it is closed. :class:`StateError`
    means that another owner has the lease, see :class:`Leases`. ``buffer_dir`` holds the chunks of long files until all
    of them are embedded.
    """

    def __init__(
        self,
        address: PostgresAddress,
        model_id: str,
        dimensions: int,
        *,
        reconnect_seconds: float = RECONNECT_SECONDS,
        stop: threading.Event | None = None,
        owner: str | None = None,
        buffer_dir: Path | None = None,
        analyzer: TermAnalyzer = DEFAULT_ANALYZER,
    ) -> None:
        """Connect; raises StoreError if that fails, or the store holds another model's vectors."""
        self._address = address
        self._model_id = model_id
        self._dimensions = dimensions
        self._pool = ConnectionPool(address, reconnect_seconds=reconnect_seconds, stop=stop)
        self._leases = None if owner is None else Leases(self._pool, address, owner)
        self._buffer_dir = buffer_dir
        self._analyzer = analyzer
        self._schema: StoreSchema | None = None  # read once; two threads read the same
        try:
            self._pool.run("opening the vector store", self._find_schema)
        except BaseException:
            self.close()
            raise

    @property
    def exists(self) -> bool:
        """Whether the tables exist."""
        return self._pool.run("opening the vector store", self._find_schema) is not None

    def prepare(self) -> None:
        """Create missing tables now, so that a missing permission is reported before the first file is read.

        In a store of an older format, the words of all texts are indexed again.
        """
        schema = self._pool.run("creating the vector store", self._create_schema)
        if index_old_rows(self._pool, schema, self._analyzer, self._address):
            self._pool.run("compacting the vector store", lambda connection: maintenance.tidy(connection, schema))

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]) -> None:
        """Replace the file's chunks: whatever happens, the store holds the old ones or the new ones, once.

        The vectors of a batch are (len(chunks), dimensions). A file without chunks is listed by :meth:`files` too. No
        connection is used before the last batch has arrived.
        """
        doing = f"storing {values.escape(file.name)!r}"
        with ChunkBuffer(self._buffer_dir) as buffer:
            for chunks, vectors in batches:
                checked = check_batch(chunks, vectors, self._dimensions)
                try:
                    buffer.add(chunks, checked)
                except OSError as error:
                    where = self._buffer_dir or "the folder for temporary files"
                    raise StoreError(f"{where}: {doing} failed: {error.strerror}") from error
            self._pool.run(doing, lambda connection: self._replace(connection, pipeline_id, file, buffer))

    def _replace(
        self, connection: PgConnection, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]
    ) -> None:
        schema = self._schema or self._create_schema(connection)
        with self._writing(connection, schema, pipeline_id):
            _lock(connection, schema, pipeline_id, [file.file_id])
            key = _put_file(connection, schema, pipeline_id, file, self._analyzer)
            for chunks, vectors in batches:
                columns = _columns(chunks, values.as_vectors(vectors, schema.vector_oid), self._analyzer)
                connection.execute(schema.sql(statements.PUT_CHUNKS), [key, *columns])

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Change name and URI of a stored file; no error if it isn't stored."""

        def work(connection: PgConnection) -> None:
            if (schema := self._find_schema(connection)) is not None:
                with self._writing(connection, schema, pipeline_id):
                    new = [values.escape(name), values.escape(uri), as_tsvector(self._analyzer.index_terms(name))]
                    key = [values.escape(text) for text in (file_id, file_id, pipeline_id)]
                    connection.execute(schema.sql(statements.RENAME), [*new, *key])

        self._pool.run(f"renaming {values.escape(file_id)!r}", work)

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Replace a stored file by ``file``, with the same chunks; return whether it was stored."""
        return old_file_id in self.move_many(pipeline_id, {old_file_id: file})

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files in one transaction; return the number of chunks of each file that was stored, by old id."""
        check_moves(moves)

        def work(connection: PgConnection) -> dict[str, int]:
            if not moves or (schema := self._find_schema(connection)) is None:
                return {}
            with self._writing(connection, schema, pipeline_id):
                new_ids = [file.file_id for file in moves.values()]
                _lock(connection, schema, pipeline_id, [*moves, *new_ids])
                stored = _stored(connection, schema, pipeline_id, {*moves, *new_ids})
                moved = {old_id: file for old_id, file in moves.items() if old_id in stored}
                replaced = {file.file_id for file in moved.values()} - set(moved)
                keys = [stored[file_id] for file_id in replaced if file_id in stored]
                connection.execute(schema.sql(statements.DELETE_KEYS), [keys])
                values_of_moved = [
                    [stored[old_id], *_file_values(pipeline_id, file, self._analyzer)[1:]]
                    for old_id, file in moved.items()
                ]
                if values_of_moved:
                    connection.execute(
                        schema.sql(statements.MOVE), [list(column) for column in zip(*values_of_moved, strict=True)]
                    )
                moved_keys = [stored[old_id] for old_id in moved]
                counts: dict[UUID, int] = dict(
                    connection.execute(schema.sql(statements.COUNT_CHUNKS_OF), [moved_keys]).fetchall()
                )
            return {old_id: counts.get(stored[old_id], 0) for old_id in moved}

        return self._pool.run(f"moving {len(moves)} files", work)

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks of another one; return their number, None if that one is not stored."""
        return self.copy_many(pipeline_id, [(from_file_id, file)]).get(file.file_id)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files, 100 in each transaction; return the number of chunks of each that was stored, by new id.

        If a source file is overwritten too, as when two files swap their content, all copies are one transaction.
        """
        by_id = copies_by_id(copies)
        overwritten = overwritten_sources(by_id)
        counts: dict[str, int] = {}
        for some in _batches(list(by_id.values()), max(1, len(by_id)) if overwritten else _COPIED_AT_ONCE):

            def work(connection: PgConnection, some: Sequence[tuple[str, SourceFile]] = some) -> dict[str, int]:
                if (schema := self._find_schema(connection)) is None:
                    return {}
                with self._writing(connection, schema, pipeline_id):
                    _lock(connection, schema, pipeline_id, [name for old, new in some for name in (old, new.file_id)])
                    stored = _stored(connection, schema, pipeline_id, {from_id for from_id, _ in some})
                    aside = _copy_aside(
                        connection, schema, pipeline_id, stored, dict(some), overwritten, self._analyzer
                    )
                    sources = stored | aside
                    copied = {
                        file.file_id: _copy(connection, schema, pipeline_id, sources[from_id], file, self._analyzer)
                        for from_id, file in some
                        if from_id in sources
                    }
                    connection.execute(schema.sql(statements.DELETE_KEYS), [list(aside.values())])
                    return copied

            counts |= self._pool.run(f"copying {len(some)} files", work)
        return counts

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file; no error if it is not stored."""
        self.delete_many(pipeline_id, [file_id])

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove many files, 1,000 in each transaction; no error for files that are not stored."""
        for some in _batches(list(file_ids), _DELETED_AT_ONCE):

            def work(connection: PgConnection, some: Sequence[str] = some) -> None:
                if (schema := self._find_schema(connection)) is not None:
                    with self._writing(connection, schema, pipeline_id):
                        escaped = [values.escape(file_id) for file_id in some]
                        connection.execute(
                            schema.sql(statements.DELETE), [escaped, escaped, values.escape(pipeline_id)]
                        )

            doing = f"{values.escape(some[0])!r}" if len(some) == 1 else f"{len(some)} files"
            self._pool.run(f"removing {doing}", work)

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return one stored file; None if it isn't stored."""
        parameters = {"pipeline": values.escape(pipeline_id), "file": values.escape(file_id)}

        def work(connection: PgConnection) -> SourceFile | None:
            if (schema := self._find_schema(connection)) is None:
                return None
            row = connection.execute(schema.sql(statements.FILE), parameters).fetchone()
            return None if row is None else SourceFile(file_id, unescape(row[0]), unescape(row[1]), *row[2:])

        return self._pool.run(f"looking for {values.escape(file_id)!r}", work)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the stored files by id."""
        escaped = values.escape(pipeline_id)

        def work(connection: PgConnection) -> dict[str, SourceFile]:
            files: dict[str, SourceFile] = {}
            if (schema := self._find_schema(connection)) is not None:
                if self._leases is not None:
                    self._leases.claim(connection, schema, pipeline_id)
                with transaction(connection, statements.BEGIN), connection.cursor(name="files") as cursor:
                    cursor.itersize = _FILES_AT_ONCE
                    for row in cursor.execute(schema.sql(statements.FILES), [escaped, escaped]):
                        file_id, name, uri, *rest = row
                        file = SourceFile(unescape(file_id), unescape(name), unescape(uri), *rest)
                        files[file.file_id] = file
            return files

        return self._pool.run("reading the stored files", work)

    def search(
        self,
        question: str,
        vector: Vectors,
        *,
        limit: int = 5,
        only: SearchFilter = EVERY_FILE,
        floor: SearchFloor = NO_FLOOR,
    ) -> list[SearchHit]:
        """Return the best chunks, best first, by BM25 on the words and cosine on the vectors, fused by rank.

        ``vector`` is 1-D. Equal scores are ordered by file and chunk number, so the same question on the same store has
        the same answer.
        """
        asked = Question(self._analyzer.query_terms(question), vector, limit, only, floor)

        def work(connection: PgConnection) -> list[SearchHit]:
            schema = self._find_schema(connection)
            if schema is None or limit < 1:
                return []
            if not schema.has_terms:
                logger.warning("%s: %s", self._address, OLD_WORDS)
            return search(connection, schema, asked)

        return self._pool.run("searching", work)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return the numbers of files and chunks by pipeline id, and the holder of each lease."""

        def work(connection: PgConnection) -> dict[str, StoredPipeline]:
            schema = self._find_schema(connection)
            return {} if schema is None else maintenance.pipelines(connection, schema)

        return self._pool.run("counting the stored files", work)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline, in several transactions; after a kill, the next call removes the rest."""

        def work(connection: PgConnection) -> None:
            schema = self._find_schema(connection)
            more = schema is not None
            while schema is not None and more:
                with self._writing(connection, schema, pipeline_id):
                    more = maintenance.drop_some(connection, schema, pipeline_id)

        self._pool.run(f"removing {values.escape(pipeline_id)!r}", work)

    def faults(self) -> list[StoreFault]:
        """Return inconsistent rows; writes nothing."""

        def work(connection: PgConnection) -> list[StoreFault]:
            schema = self._find_schema(connection)
            return [] if schema is None else maintenance.faults(connection, schema)

        return self._pool.run("checking the vector store", work)

    def tidy(self) -> None:
        """Free the space of deleted rows now; the server does the same later by itself."""

        def work(connection: PgConnection) -> None:
            if (schema := self._find_schema(connection)) is not None:
                maintenance.tidy(connection, schema)

        self._pool.run("compacting the vector store", work)

    def close(self) -> None:
        """Close the connections; idempotent. Nothing is flushed, because every write is committed before it returns."""
        if self._leases is not None:
            self._leases.close()
        self._pool.close()

    @contextmanager
    def _writing(self, connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> Iterator[None]:
        """Run the block in a transaction, if this owner has the pipeline's lease."""
        if self._leases is not None:
            self._leases.claim(connection, schema, pipeline_id)
        with transaction(connection, statements.BEGIN):
            yield
            if self._leases is not None:
                self._leases.confirm(connection, schema, pipeline_id)

    def _find_schema(self, connection: PgConnection) -> StoreSchema | None:
        if self._schema is None:
            self._schema = find_store(connection, self._address, self._model_id, self._dimensions)
        return self._schema

    def _create_schema(self, connection: PgConnection) -> StoreSchema:
        self._schema = create_store(connection, self._address, self._model_id, self._dimensions)
        return self._schema


def _lock(connection: PgConnection, schema: StoreSchema, pipeline_id: str, file_ids: Iterable[str]) -> None:
    """Lock the files until the end of the transaction, so that writers of the same file take turns."""
    locks = sorted({values.file_key(pipeline_id, file_id).int % _LOCKS for file_id in file_ids})
    connection.execute(statements.LOCK, [values.lock_class(schema.schema), locks])


def _stored(
    connection: PgConnection, schema: StoreSchema, pipeline_id: str, file_ids: Collection[str]
) -> dict[str, UUID]:
    """Return the keys of the stored files by id."""
    escaped = {values.escape(file_id): file_id for file_id in file_ids}
    parameters = [list(escaped), list(escaped), values.escape(pipeline_id)]
    stored = connection.execute(schema.sql(statements.STORED), parameters).fetchall()
    return {escaped[file_id]: key for file_id, key in stored}


def _put_file(
    connection: PgConnection, schema: StoreSchema, pipeline_id: str, file: SourceFile, analyzer: TermAnalyzer
) -> UUID:
    """Insert or update the file's row, and delete its chunks; return its key."""
    key = _stored(connection, schema, pipeline_id, [file.file_id]).get(file.file_id) or uuid4()
    connection.execute(schema.sql(statements.PUT_FILE), [key, *_file_values(pipeline_id, file, analyzer)])
    connection.execute(schema.sql(statements.DELETE_CHUNKS), [key])
    return key


def _copy(
    connection: PgConnection,
    schema: StoreSchema,
    pipeline_id: str,
    source: UUID,
    file: SourceFile,
    analyzer: TermAnalyzer,
) -> int:
    """Copy the chunks of ``source`` to the file; return their number."""
    stored = _stored(connection, schema, pipeline_id, [file.file_id]).get(file.file_id)
    if stored == source:
        connection.execute(schema.sql(statements.PUT_FILE), [source, *_file_values(pipeline_id, file, analyzer)])
        row = connection.execute(schema.sql(statements.COUNT_CHUNKS), [source]).fetchone()
        return int(row[0]) if row is not None else 0
    target = _put_file(connection, schema, pipeline_id, file, analyzer)
    total, after = 0, -1
    while True:
        parameters = {"source": source, "target": target, "after": after, "most": CHUNKS_AT_ONCE}
        row = connection.execute(schema.sql(statements.COPY_CHUNKS), parameters).fetchone()
        if row is None or not row[0]:
            return total
        total, after = total + row[0], row[1]


def _copy_aside(
    connection: PgConnection,
    schema: StoreSchema,
    pipeline_id: str,
    stored: Mapping[str, UUID],
    copies: Mapping[str, SourceFile],
    file_ids: Iterable[str],
    analyzer: TermAnalyzer,
) -> dict[str, UUID]:
    """Copy files that will be overwritten, invisibly for other transactions; return the copies' keys by id."""
    names = {file_id: f"{file_id} {uuid4()}" for file_id in file_ids if file_id in stored}
    for file_id, name in names.items():
        _copy(connection, schema, pipeline_id, stored[file_id], with_fields(copies[file_id], file_id=name), analyzer)
    keys = _stored(connection, schema, pipeline_id, names.values())
    return {file_id: keys[name] for file_id, name in names.items()}


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _file_values(pipeline_id: str, file: SourceFile, analyzer: TermAnalyzer) -> list[Any]:
    names = [values.escape(name) for name in (pipeline_id, file.file_id, file.name, file.uri)]
    words = as_tsvector(analyzer.index_terms(file.name))
    return [*names, file.content_hash, file.size, file.mime_type, file.modified_at, words]


def _columns(chunks: Sequence[Chunk], vectors: values.Binary, analyzer: TermAnalyzer) -> list[Any]:
    texts = [values.clean(chunk.text) for chunk in chunks]
    places = [values.clean(chunk.locator) for chunk in chunks]
    terms = [analyzer.index_terms(chunk.indexed_text) for chunk in chunks]
    words, lengths = [as_tsvector(some) for some in terms], [len(some) for some in terms]
    return [[chunk.index for chunk in chunks], places, texts, words, lengths, vectors]
