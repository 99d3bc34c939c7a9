"""The vector store on LanceDB: one table in a folder, searched by words and by vectors."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rag_pipeline.common.private_files import make_private_folder
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.chunk_buffer import ChunkBatch, ChunkBuffer, check_batch
from rag_pipeline.ingest.store.escaping import escape, unescape
from rag_pipeline.ingest.store.lance import chunk_table, maintenance, rows
from rag_pipeline.ingest.store.lance.chunk_table import Replacement
from rag_pipeline.ingest.store.lance.durable_table import DurableTable
from rag_pipeline.ingest.store.lance.errors import store_errors
from rag_pipeline.ingest.store.lance.file_index import FileIndex, FileKey, TableRow
from rag_pipeline.ingest.store.lance.group_commit import GroupCommit
from rag_pipeline.ingest.store.lance.memory import give_back_memory
from rag_pipeline.ingest.store.lance.search import Question, StoredFiles, search
from rag_pipeline.ingest.store.moves import check_moves, copies_by_id
from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER, TermAnalyzer
from rag_pipeline.ingest.types import (
    EVERY_FILE,
    NO_FLOOR,
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

TABLE = "chunks"
OLD_TERMS = (
    "an older version made the store, so only the meaning of texts is searched, not their words, until a pipeline runs "
    "here or rag-pipeline store compact"
)
# Each write adds files and a version. After this many writes, files are merged and unused versions are removed.
COMPACT_EVERY = 200
# Each merge reads all versions, so only those that a search may be using are kept.
KEEP_VERSIONS = timedelta(seconds=20)
# LanceDB's default caches grow to 7 GB in a pipeline that writes for hours.
INDEX_CACHE_BYTES = 128 << 20
METADATA_CACHE_BYTES = 32 << 20
FILES_AT_ONCE = 1000  # in one commit that removes files


class LanceVectorStore:
    """Chunks of all files in a LanceDB table; safe under threads. One process may write while others read.

    ``replace`` adds the new rows in one commit, which makes them visible, and then removes the old ones. Rows that a
    crash leaves between these two steps are invisible to readers, and the next writer removes them. The first write
    creates the table: opening a store and searching it write nothing.
    """

    def __init__(
        self,
        path: str | Path,
        model_id: str,
        dimensions: int,
        *,
        compact_every: int = COMPACT_EVERY,
        analyzer: TermAnalyzer = DEFAULT_ANALYZER,
    ) -> None:
        """Open the store in ``path``; raises StoreError if it is damaged or holds another model's vectors."""
        self._path = Path(path)
        self._model_id = model_id
        self._dimensions = dimensions
        self._compact_every = compact_every
        self._analyzer = analyzer
        # Protects the fields below, and serializes this process's writes.
        self._lock = threading.Lock()
        self._writes = 0
        self._removed_versions_at = 0.0
        self._prepared = False
        self._claimed = False
        self._closed = False
        self._files: tuple[int, FileIndex] | None = None  # of a version of the table
        self._session: Any = None
        self._table: Any = None
        self._columns: Any = None  # the table's columns, once it was prepared for writing
        self._version: int | None = None  # the newest version that this process wrote
        self._durable = DurableTable(self._path, TABLE)
        self._group = GroupCommit(self._lock, self._replace)
        with store_errors(self._path, "opening the vector store"):
            self._table = self._open()

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]) -> None:
        """Replace the file's chunks: after a crash the store holds the old ones or the new ones, once.

        The vectors of a batch are (len(chunks), dimensions). A file without chunks is listed by :meth:`files` too.
        """
        doing = f"storing {escape(file.name)!r}"
        with ChunkBuffer(self._path) as buffer:
            for chunks, vectors in batches:
                checked = check_batch(chunks, vectors, self._dimensions)
                with store_errors(self._path, doing):
                    buffer.add(chunks, checked)
            replacement = Replacement(pipeline_id, file, buffer)
            with store_errors(self._path, doing):
                if buffer.is_small:
                    self._group.submit(replacement)
                else:
                    with self._lock:
                        self._replace([replacement])
                self._sync()

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Change name and URI of a stored file in one commit; no error if it isn't stored."""
        with self._writing(f"renaming {escape(file_id)!r}"):
            if (table := self._writable_if_any()) is None:
                return
            files = self._current_files(table)
            if (old := files.get(_key(pipeline_id, file_id))) is not None:
                file = with_fields(rows.source_file(old), name=name, uri=uri)
                new = rows.FileVersion(file, self._next_generation(files), rows.content_of(old), old["generation"])
                self._write_file_rows(table, pipeline_id, [new], ())
                self._compact(table)

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Replace a stored file by ``file``, with the same chunks; return whether it was stored."""
        return old_file_id in self.move_many(pipeline_id, {old_file_id: file})

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files in one commit; return the number of chunks of each file that was stored, by old id."""
        check_moves(moves)
        with self._writing(f"moving {_named(moves)}"):
            if not moves or (table := self._writable_if_any()) is None:
                return {}
            files = self._current_files(table)
            generation = self._next_generation(files)
            moved: dict[str, rows.FileVersion] = {}
            for old_id, file in moves.items():
                if (old := files.get(_key(pipeline_id, old_id))) is not None:
                    number = generation + len(moved)
                    moved[old_id] = rows.FileVersion(file, number, rows.content_of(old), old["generation"])
            if not moved:
                return {}
            counts = chunk_table.count_chunks(table, {version.content for version in moved.values()})
            removed = [_key(pipeline_id, old_id) for old_id in moved]
            self._write_file_rows(table, pipeline_id, list(moved.values()), removed)
            self._compact(table)
            return {old_id: counts.get(version.content, 0) for old_id, version in moved.items()}

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks of another one; return their number, None if that one is not stored."""
        return self.copy_many(pipeline_id, [(from_file_id, file)]).get(file.file_id)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files in one commit; copies share their chunks. Return the number of chunks of each, by new id."""
        by_id = copies_by_id(copies)
        with self._writing(f"copying {_named(by_id)}"):
            if not by_id or (table := self._writable_if_any()) is None:
                return {}
            files = self._current_files(table)
            generation = self._next_generation(files)
            new: list[rows.FileVersion] = []
            for from_id, file in by_id.values():
                if (stored := files.get(_key(pipeline_id, from_id))) is not None:
                    new.append(rows.FileVersion(file, generation + len(new), rows.content_of(stored)))
            if not new:
                return {}
            counts = chunk_table.count_chunks(table, {version.content for version in new})
            self._write_file_rows(table, pipeline_id, new, ())
            self._compact(table)
            return {version.file.file_id: counts.get(version.content, 0) for version in new}

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file; no error if it is not stored."""
        self.delete_many(pipeline_id, [file_id])

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove many files, 1,000 in each commit; no error for files that are not stored."""
        keys = [_key(pipeline_id, file_id) for file_id in file_ids]
        with self._writing(f"removing {_named([key[1] for key in keys])}"):
            if not keys or (table := self._writable_if_any()) is None:
                return
            files = self._current_files(table)
            for start in range(0, len(keys), FILES_AT_ONCE):
                # One batch at a time, so that a file's row never outlives its chunks.
                if outdated := files.apply((), keys[start : start + FILES_AT_ONCE]):
                    self._remove(table, outdated)
                    self._compact(table)

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return one stored file; None if it isn't stored."""
        with self._lock, store_errors(self._path, f"looking for {escape(file_id)!r}"):
            table = self._readable()
            row = None if table is None else self._current_files(table).get(_key(pipeline_id, file_id))
            return None if row is None else rows.source_file(row)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the stored files by id."""
        with self._lock, store_errors(self._path, "reading the stored files"):
            table = self._readable()
            file_rows = () if table is None else self._current_files(table)
            files = [rows.source_file(row) for row in file_rows if row["pipeline_id"] == escape(pipeline_id)]
            return {file.file_id: file for file in files}

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
        with store_errors(self._path, "searching"):
            with self._lock:
                if self._readable() is None or limit < 1:
                    return []
                # All parts of the search read the same version: a file that is replaced meanwhile is still found.
                table = self._connect().open_table(TABLE)
                table.checkout(table.version)
                self._current_files(table)
            if rows.TERMS not in table.schema.names:
                logger.warning("%s: %s", self._path, OLD_TERMS)
            files = StoredFiles(
                lambda contents: self._files_at(table, lambda index: index.files_with(contents)),
                lambda: self._files_at(table, list),
            )
            terms = self._analyzer.query_terms(question)
            return search(table, files, Question(terms, vector, limit, only, floor))

    def compact(self) -> None:
        """Merge small files, index new rows and remove old versions; takes about a second."""
        with self._lock, store_errors(self._path, "compacting the vector store"):
            if self._readable() is not None:
                self._compact(self._writable(), at_once=True)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return the numbers of files and chunks by pipeline id."""
        with self._lock, store_errors(self._path, "counting the stored files"):
            table = self._readable()
            return {} if table is None else maintenance.pipelines(table)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline; :meth:`tidy` then removes their text from disk."""
        with self._writing(f"removing {escape(pipeline_id)!r}"):
            if (table := self._writable_if_any()) is not None:
                maintenance.drop(table, pipeline_id)

    def faults(self) -> list[StoreFault]:
        """Return inconsistent rows; writes nothing."""
        with self._lock, store_errors(self._path, "checking the vector store"):
            table = self._readable()
            return [] if table is None else maintenance.faults(table)

    def tidy(self) -> None:
        """Remove leftovers, merge small files and remove old versions; takes seconds, so that searches can finish."""
        with self._writing("compacting the vector store"):
            self._prepared = False  # look for leftovers again, even if this process has done so before
            if (table := self._writable_if_any()) is not None:
                maintenance.merge(table, self._durable.sync)

    def close(self) -> None:
        """Release the table; idempotent. Nothing is flushed, because every write is synced before it returns."""
        with self._lock:
            self._closed = True
            self._table = None
            self._files = None
        self._durable.close()

    # -- opening -----------------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        """Return the table, or None if there is none yet; raises StoreError if it holds another model's vectors."""
        if self._path.exists() and not self._path.is_dir():
            raise StoreError(f"{self._path}: the vector store must be a folder, and this is a file")
        self._durable.recover()
        if not (self._path / f"{TABLE}.lance").is_dir():
            return None
        try:
            table = self._connect().open_table(TABLE)
        except Exception:
            if not self._durable.fall_back(self._is_readable):
                raise
            table = self._connect().open_table(TABLE)
        columns = table.schema
        metadata = columns.metadata or {}
        stored = metadata.get(b"model_id", b"?").decode("utf-8", "replace")
        width = columns.field("vector").type.list_size
        if (stored, width) != (self._model_id, self._dimensions):
            raise StoreError(
                f"{self._path}: holds vectors of {stored} ({width} dimensions), not of {self._model_id} "
                f"({self._dimensions}); use that model, or remove the folder to embed everything again"
            )
        return table

    def _is_readable(self) -> bool:
        """Return whether the table can be opened and its file rows read."""
        self._session = None  # its cache may hold the damaged version
        try:
            FileIndex(chunk_table.read_file_rows(self._connect().open_table(TABLE)))
        except Exception:  # noqa: BLE001 - after any error, an older version may be readable
            return False
        return True

    def _connect(self) -> Any:
        # Set before the import: the library's warnings are for its authors, and its errors become StoreErrors.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        if self._session is None:
            self._session = lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)
        # Without a shared session, each call would scan all versions, thousands after many writes, for newer ones.
        return lancedb.connect(self._path, session=self._session)

    def _opened(self) -> Any:
        """Return the table at the version that this process has opened, None if there is none yet."""
        self._check_open()
        if self._table is None:
            self._table = self._open()  # another process may have created it meanwhile
        return self._table

    def _readable(self) -> Any:
        """Return the table at its newest version, None if there is none yet."""
        if (table := self._opened()) is not None:
            table.checkout_latest()
        return table

    def _writable(self) -> Any:
        """Return the table, created if missing, with its indexes and without leftovers of a crash.

        Newer commits of other processes are noticed only after this process has written.
        """
        assert self._lock.locked()
        table = self._opened() if self._prepared else self._readable()
        if not self._claimed:
            self._durable.claim()
            self._claimed = True
        if table is None:
            make_private_folder(self._path)
            table = self._connect().create_table(
                TABLE, schema=rows.schema(self._model_id, self._dimensions), exist_ok=True
            )
            self._table = table
        if not self._prepared:
            self._upgrade(table)
            chunk_table.create_indexes(table)
            maintenance.remove_leftovers(table)
            self._columns = table.schema
            self._prepared = True
        return table

    def _upgrade(self, table: Any) -> None:
        if rows.TERMS not in table.schema.names:
            logger.warning("%s: an older version made the store: its words are indexed again", self._path)
        if chunk_table.upgrade(table, self._analyzer):
            self._files = None

    def _writable_if_any(self) -> Any:
        """Return the table as :meth:`_writable` does, but None if there is none yet."""
        return None if self._readable() is None else self._writable()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._path}: the vector store is closed")

    # -- the stored files, cached for one version of the table -------------------------------------------------------

    def _current_files(self, table: Any) -> FileIndex:
        """Return the files of the version that the table is at."""
        assert self._lock.locked()
        version = table.version
        if self._files is None or self._files[0] != version:
            self._files = (version, FileIndex(chunk_table.read_file_rows(table)))
        return self._files[1]

    def _files_at(self, table: Any, read: Callable[[FileIndex], _T]) -> _T:
        """Return what ``read`` returns for the files of the table's version."""
        with self._lock:
            if self._files is not None and self._files[0] == table.version:
                return read(self._files[1])
        return read(FileIndex(chunk_table.read_file_rows(table)))

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        """Hold the lock for the block, release it, and sync what was written."""
        with store_errors(self._path, doing):
            with self._lock, self._changing():
                yield
            self._sync()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Record the version to sync; after a failure, the next write removes leftovers."""
        assert self._lock.locked()
        try:
            yield
        except BaseException:
            self._prepared = False
            self._files = None
            raise
        if self._table is not None:
            self._version = self._table.version

    def _sync(self) -> None:
        if self._version is not None:
            self._durable.sync(self._version)

    def _replace(self, replacements: Sequence[Replacement]) -> None:
        """Write all replacements in one commit."""
        with self._changing():
            table = self._writable()
            files = self._current_files(table) if self._files is None else self._files[1]
            generation = self._next_generation(files)
            new = chunk_table.build_file_rows(self._columns, replacements, generation, self._analyzer)
            added = table.add(chunk_table.as_data(self._columns, new, replacements, generation, self._analyzer))
            self._apply(table, new, added.version)
            self._compact(table)

    def _write_file_rows(
        self, table: Any, pipeline_id: str, versions: Sequence[rows.FileVersion], removed: Iterable[FileKey]
    ) -> None:
        """Commit new file rows, which replace the removed files, and then delete the outdated rows."""
        new = rows.build_file_rows(self._columns, pipeline_id, versions, self._analyzer)
        self._apply(table, new, table.add(new).version, removed)

    def _apply(self, table: Any, new: Any, version: int, removed: Iterable[FileKey] = ()) -> None:
        """Update the cache with file rows that were committed as ``version``, and delete the outdated rows."""
        assert self._files is not None
        before, files = self._files
        if version == before + 1:
            self._files = (version, files)
            self._remove(table, files.apply(new.select(list(rows.FILE_COLUMNS)).to_pylist(), removed))
        else:  # the cache lacks the commit of another process
            self._files = None
            maintenance.remove_leftovers(table)

    def _remove(self, table: Any, outdated: Sequence[TableRow]) -> None:
        """Delete outdated file rows, and the chunks that no file has any more."""
        for pipeline_id in dict.fromkeys(row["pipeline_id"] for row in outdated):
            of_pipeline = [row for row in outdated if row["pipeline_id"] == pipeline_id]
            for start in range(0, len(of_pipeline), FILES_AT_ONCE):
                self._delete(table, pipeline_id, of_pipeline[start : start + FILES_AT_ONCE])

    def _delete(self, table: Any, escaped_id: str, outdated: Sequence[TableRow]) -> None:
        assert self._files is not None
        before, files = self._files
        contents = {rows.content_of(row) for row in outdated}
        unused = [content for content in contents if not files.has_content((escaped_id, content))]
        generations = [row["generation"] for row in outdated]
        version = table.delete(rows.condition(unescape(escaped_id), generations, unused)).version
        # After another process's commit the cache is read again; until then it is right about these outdated rows.
        self._files = (version if version == before + 1 else before, files)

    def _next_generation(self, files: FileIndex) -> int:
        """Return a number that no row has yet, also if the clock was set back."""
        return max(time.time_ns(), files.newest + 1)

    # -- compaction --------------------------------------------------------------------------------------------------

    def _compact(self, table: Any, *, at_once: bool = False) -> None:
        """Merge small files and index new rows, if enough was written since the last time.

        Merging rewrites the table, so it becomes rarer as the table grows: its cost per write stays constant.
        """
        self._writes += 1
        files = len(self._files[1]) if self._files else 0
        if not at_once and self._writes < max(self._compact_every, files // 20):
            return
        self._writes = 0
        before, started = table.version, time.monotonic()
        previous_age = self._durable.previous_age()
        maintenance.optimize(table, maintenance.NEVER)
        # No file of the newest version on disk may be removed.
        self._durable.sync(table.version)
        keep = KEEP_VERSIONS.total_seconds()
        if at_once or started - self._removed_versions_at >= keep:
            keep = max(keep, previous_age) + time.monotonic() - started + 0.1
            maintenance.optimize(table, timedelta(seconds=keep))
            self._removed_versions_at = started
        if self._files is not None and self._files[0] == before:
            self._files = (table.version, self._files[1])  # compaction leaves the rows unchanged
        # The session's caches still hold versions and indexes that were just removed.
        self._session = None
        self._table = self._connect().open_table(TABLE)
        give_back_memory()


def _key(pipeline_id: str, file_id: str) -> FileKey:
    return escape(pipeline_id), escape(file_id)


def _named(file_ids: Collection[str]) -> str:
    first = next(iter(file_ids), "")
    return repr(escape(first)) if len(file_ids) == 1 else f"{len(file_ids)} files"
