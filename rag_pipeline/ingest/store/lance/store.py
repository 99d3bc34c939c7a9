"""The vector store on LanceDB: one table of chunks in a folder, searched by words and by meaning."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace as with_fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.common.private_files import make_private_folder
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.chunk_buffer import ChunkBatch, ChunkBuffer, check_batch
from rag_pipeline.ingest.store.lance import chunk_table, maintenance, rows
from rag_pipeline.ingest.store.lance.chunk_table import Replacement
from rag_pipeline.ingest.store.lance.durable_table import DurableTable
from rag_pipeline.ingest.store.lance.errors import store_errors
from rag_pipeline.ingest.store.lance.file_index import FileIndex, FileKey, TableRow
from rag_pipeline.ingest.store.lance.group_commit import GroupCommit
from rag_pipeline.ingest.store.lance.memory import give_back_memory
from rag_pipeline.ingest.store.lance.search import heads_showing, search
from rag_pipeline.ingest.types import SearchHit, SourceFile, StoredPipeline, StoreFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

TABLE = "chunks"
# Each write adds files and a version; this often they are merged, and versions nobody can be reading are removed.
COMPACT_EVERY = 200
# Each merge looks at all versions there are, so as few are kept as readers need.
KEEP_VERSIONS = timedelta(seconds=20)
# What the library may keep in memory of indexes and of versions. By itself it takes up to 7 GB, and a pipeline that
# writes for hours gets there.
INDEX_CACHE_BYTES = 128 << 20
METADATA_CACHE_BYTES = 32 << 20
FILES_AT_ONCE = 1000  # in one commit that removes


class LanceVectorStore:
    """Chunks of every file in a LanceDB table; safe under threads, and readable by others while one process writes.

    ``replace`` adds the new rows in one commit, which is the moment they count, and then removes the old ones; what a
    crash leaves between the two is not seen by any reader and is removed by the next writer. The table is made by the
    first write: opening a store and searching it write nothing.
    """

    def __init__(self, path: str | Path, model_id: str, dimensions: int, *, compact_every: int = COMPACT_EVERY) -> None:
        """Open the store in ``path``; raises StoreError if it is damaged or holds another model's vectors."""
        self._path = Path(path)
        self._model_id = model_id
        self._dimensions = dimensions
        self._compact_every = compact_every
        # Guards the fields below, and keeps this process's writes one after another.
        self._lock = threading.Lock()
        self._writes = 0
        self._removed_versions_at = 0.0
        self._clean = False
        self._claimed = False
        self._closed = False
        self._heads: tuple[int, FileIndex] | None = None
        self._session: Any = None
        self._table: Any = None
        self._columns: Any = None  # of the table, once it can be written
        self._version: int | None = None  # the newest that this process wrote
        self._durable = DurableTable(self._path, TABLE)
        self._group = GroupCommit(self._lock, self._replace)
        with store_errors(self._path, "opening the vector store"):
            self._table = self._open()

    def replace(self, pipeline_id: str, file: SourceFile, batches: Iterable[ChunkBatch]) -> None:
        """Make these the file's only chunks: after a crash the store holds the old ones or the new ones, once.

        The vectors of a batch are (len(chunks), dimensions); a file without chunks is still listed by :meth:`files`.
        """
        doing = f"storing {rows.escape(file.name)!r}"
        with ChunkBuffer(self._path) as spool:
            for chunks, vectors in batches:
                checked = check_batch(chunks, vectors, self._dimensions)
                with store_errors(self._path, doing):
                    spool.add(chunks, checked)
            replacement = Replacement(pipeline_id, file, spool)
            with store_errors(self._path, doing):
                if spool.is_small:
                    self._group.submit(replacement)
                else:
                    with self._lock:
                        self._replace([replacement])
                self._sync()

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Give a stored file another name and address, in one commit; no error if it isn't stored."""
        with self._writing(f"renaming {rows.escape(file_id)!r}"):
            if (table := self._writable_if_any()) is None:
                return
            heads = self._current(table)
            if (old := heads.get(_key(pipeline_id, file_id))) is not None:
                file = with_fields(rows.source_file(old), name=name, uri=uri)
                new = rows.FileVersion(file, self._next_generation(heads), rows.content_of(old), old["generation"])
                self._put_heads(table, pipeline_id, [new], ())
                self._compact(table)

    def move(self, pipeline_id: str, old_file_id: str, file: SourceFile) -> bool:
        """Make a stored file the one that is given, with its chunks as they are; return whether it was stored."""
        return old_file_id in self.move_many(pipeline_id, {old_file_id: file})

    def move_many(self, pipeline_id: str, moves: Mapping[str, SourceFile]) -> dict[str, int]:
        """Move files, all in one commit, and return the chunks of each that was stored, by old id."""
        rows.check_moves(moves)
        with self._writing(f"moving {_named(moves)}"):
            if not moves or (table := self._writable_if_any()) is None:
                return {}
            heads = self._current(table)
            generation = self._next_generation(heads)
            moved: dict[str, rows.FileVersion] = {}
            for old_id, file in moves.items():
                if (old := heads.get(_key(pipeline_id, old_id))) is not None:
                    number = generation + len(moved)
                    moved[old_id] = rows.FileVersion(file, number, rows.content_of(old), old["generation"])
            if not moved:
                return {}
            counts = chunk_table.count_chunks(table, {head.content for head in moved.values()})
            gone = [_key(pipeline_id, old_id) for old_id in moved]
            self._put_heads(table, pipeline_id, list(moved.values()), gone)
            self._compact(table)
            return {old_id: counts.get(head.content, 0) for old_id, head in moved.items()}

    def copy(self, pipeline_id: str, from_file_id: str, file: SourceFile) -> int | None:
        """Store a file with the chunks and vectors of a stored one; return their number, None if it is not stored."""
        return self.copy_many(pipeline_id, [(from_file_id, file)]).get(file.file_id)

    def copy_many(self, pipeline_id: str, copies: Iterable[tuple[str, SourceFile]]) -> dict[str, int]:
        """Copy files, all in one commit: both show the same chunks. Return the chunks of each, by new id."""
        by_id = rows.copies_by_id(copies)
        with self._writing(f"copying {_named(by_id)}"):
            if not by_id or (table := self._writable_if_any()) is None:
                return {}
            heads = self._current(table)
            generation = self._next_generation(heads)
            new: list[rows.FileVersion] = []
            for from_id, file in by_id.values():
                if (stored := heads.get(_key(pipeline_id, from_id))) is not None:
                    new.append(rows.FileVersion(file, generation + len(new), rows.content_of(stored)))
            if not new:
                return {}
            counts = chunk_table.count_chunks(table, {head.content for head in new})
            self._put_heads(table, pipeline_id, new, ())
            self._compact(table)
            return {head.file.file_id: counts.get(head.content, 0) for head in new}

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""
        self.delete_many(pipeline_id, [file_id])

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        """Remove the chunks of many files, 1,000 in each commit; no error for files that are not stored."""
        keys = [_key(pipeline_id, file_id) for file_id in file_ids]
        with self._writing(f"removing {_named([key[1] for key in keys])}"):
            if not keys or (table := self._writable_if_any()) is None:
                return
            heads = self._current(table)
            for start in range(0, len(keys), FILES_AT_ONCE):
                # A batch at a time, so that a file's head never outlives its chunks.
                if dead := heads.apply((), keys[start : start + FILES_AT_ONCE]):
                    self._remove(table, dead)
                    self._compact(table)

    def file(self, pipeline_id: str, file_id: str) -> SourceFile | None:
        """Return one stored file; None if it isn't stored."""
        with self._lock, store_errors(self._path, f"looking for {rows.escape(file_id)!r}"):
            table = self._readable()
            head = None if table is None else self._current(table).get(_key(pipeline_id, file_id))
            return None if head is None else rows.source_file(head)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the files whose chunks are stored, by file_id."""
        with self._lock, store_errors(self._path, "reading the stored files"):
            table = self._readable()
            heads = () if table is None else self._current(table)
            found = [rows.source_file(row) for row in heads if row["pipeline_id"] == rows.escape(pipeline_id)]
            return {file.file_id: file for file in found}

    def search(self, question: str, vector: Vectors, *, limit: int = 5) -> list[SearchHit]:
        """Return the best chunks, best first: BM25 over the words and cosine over the vectors, fused by rank.

        ``vector`` is 1-D. The score is 0..1, where 1 is first by words and by meaning; equal scores are ordered by
        file and place, so the same question on the same store has the same answer.
        """
        with store_errors(self._path, "searching"):
            with self._lock:
                if self._readable() is None or limit < 1:
                    return []
                # Words, vectors and heads of one version: a file that is replaced meanwhile is found as it was.
                table = self._connect().open_table(TABLE)
                table.checkout(table.version)
                self._current(table)
            return search(table, lambda contents: self._showing(table, contents), question, vector, limit)

    def compact(self) -> None:
        """Merge small files, index new rows, drop old versions: worth its second or so after a busy time."""
        with self._lock, store_errors(self._path, "compacting the vector store"):
            if self._readable() is not None:
                self._compact(self._writable(), at_once=True)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return what is stored of each pipeline, by pipeline id."""
        with self._lock, store_errors(self._path, "counting the stored files"):
            table = self._readable()
            return {} if table is None else maintenance.pipelines(table)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline; their text leaves the disk with :meth:`tidy`."""
        with self._writing(f"removing {rows.escape(pipeline_id)!r}"):
            if (table := self._writable_if_any()) is not None:
                maintenance.drop(table, pipeline_id)

    def faults(self) -> list[StoreFault]:
        """Return the rows that no write leaves in the end; writes nothing."""
        with self._lock, store_errors(self._path, "checking the vector store"):
            table = self._readable()
            return [] if table is None else maintenance.faults(table)

    def tidy(self) -> None:
        """Remove leftovers, merge small files and remove old versions; takes seconds, in which readers can finish."""
        with self._writing("compacting the vector store"):
            self._clean = False  # look for leftovers also if an earlier write of this process has
            if (table := self._writable_if_any()) is not None:
                maintenance.merge(table, self._durable.sync)

    def close(self) -> None:
        """Release the table; idempotent. Every write is synced when it returns, so nothing is flushed."""
        with self._lock:
            self._closed = True
            self._table = None
            self._heads = None
        self._durable.close()

    # Opening

    def _open(self) -> Any:
        """Return the table, or None if there is none yet; raises StoreError for another model's."""
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
        """Return whether the table can be opened, and its heads read."""
        self._session = None  # it may know what was on disk before
        try:
            FileIndex(chunk_table.read_file_rows(self._connect().open_table(TABLE)))
        except Exception:  # noqa: BLE001 - whatever the library says, an older version may be good
            return False
        return True

    def _connect(self) -> Any:
        # Read as the library loads: its warnings are meant for its authors, and its errors come as StoreError.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        if self._session is None:
            self._session = lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)
        # By itself each call would look through all versions, thousands after many writes, for newer ones.
        return lancedb.connect(self._path, session=self._session)

    def _opened(self) -> Any:
        """Return the table at the version that this process knows, None if there is none yet."""
        self._check_open()
        if self._table is None:
            self._table = self._open()  # another process may have made it meanwhile
        return self._table

    def _readable(self) -> Any:
        """Return the table at its newest version, None if there is none yet."""
        if (table := self._opened()) is not None:
            table.checkout_latest()
        return table

    def _writable(self) -> Any:
        """Return the table, made if need be, with its indexes, and without what a crash may have left.

        What another process wrote since is noticed when this one has written.
        """
        assert self._lock.locked()
        table = self._opened() if self._clean else self._readable()
        if not self._claimed:
            self._durable.claim()
            self._claimed = True
        if table is None:
            make_private_folder(self._path)
            table = self._connect().create_table(
                TABLE, schema=rows.schema(self._model_id, self._dimensions), exist_ok=True
            )
            self._table = table
        if not self._clean:
            chunk_table.upgrade(table)
            chunk_table.create_indexes(table)
            maintenance.remove_leftovers(table)
            self._columns = table.schema
            self._clean = True
        return table

    def _writable_if_any(self) -> Any:
        """Return the table as :meth:`_writable` does, None if there is none yet."""
        return None if self._readable() is None else self._writable()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._path}: the vector store is closed")

    # Heads: the files that are stored, cached for the table's version

    def _current(self, table: Any) -> FileIndex:
        """Return the heads of the version that the table is at."""
        assert self._lock.locked()
        version = table.version
        if self._heads is None or self._heads[0] != version:
            self._heads = (version, FileIndex(chunk_table.read_file_rows(table)))
        return self._heads[1]

    def _showing(self, table: Any, contents: set[tuple[str, int]]) -> dict[tuple[str, int], list[TableRow]]:
        with self._lock:
            if self._heads is not None and self._heads[0] == table.version:
                return heads_showing(self._heads[1], contents)
        return heads_showing(FileIndex(chunk_table.read_file_rows(table)), contents)

    # Writing

    @contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        """Hold the lock, then sync what was written without it."""
        with store_errors(self._path, doing):
            with self._lock, self._changing():
                yield
            self._sync()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Note the version that is to be synced; after a failure the next write removes leftovers."""
        assert self._lock.locked()
        try:
            yield
        except BaseException:
            self._clean = False
            self._heads = None
            raise
        if self._table is not None:
            self._version = self._table.version

    def _sync(self) -> None:
        if self._version is not None:
            self._durable.sync(self._version)

    def _replace(self, replacements: Sequence[Replacement]) -> None:
        """Commit all of these together."""
        with self._changing():
            table = self._writable()
            heads = self._current(table) if self._heads is None else self._heads[1]
            generation = self._next_generation(heads)
            new = chunk_table.build_file_rows(self._columns, replacements, generation)
            added = table.add(chunk_table.as_data(self._columns, new, replacements, generation))
            self._put(table, new, added.version)
            self._compact(table)

    def _put_heads(
        self, table: Any, pipeline_id: str, heads: Sequence[rows.FileVersion], gone: Iterable[FileKey]
    ) -> None:
        """Commit new heads, which replace the files that are gone, and then remove what no longer counts."""
        new = rows.build_file_rows(self._columns, pipeline_id, heads)
        self._put(table, new, table.add(new).version, gone)

    def _put(self, table: Any, new: Any, version: int, gone: Iterable[FileKey] = ()) -> None:
        """Keep the cache in step with heads that were added as this version, and remove what they replace."""
        assert self._heads is not None
        before, heads = self._heads
        if version == before + 1:
            self._heads = (version, heads)
            self._remove(table, heads.apply(new.select(list(rows.FILE_COLUMNS)).to_pylist(), gone))
        else:  # another process wrote, which the cache does not know
            self._heads = None
            maintenance.remove_leftovers(table)

    def _remove(self, table: Any, dead: Sequence[TableRow]) -> None:
        """Remove heads that no longer count, and the chunks that no file shows any more."""
        for pipeline_id in dict.fromkeys(row["pipeline_id"] for row in dead):
            of_one = [row for row in dead if row["pipeline_id"] == pipeline_id]
            for start in range(0, len(of_one), FILES_AT_ONCE):
                self._delete(table, rows.unescape(pipeline_id), of_one[start : start + FILES_AT_ONCE])

    def _delete(self, table: Any, pipeline_id: str, dead: Sequence[TableRow]) -> None:
        assert self._heads is not None
        before, heads = self._heads
        contents = {rows.content_of(row) for row in dead}
        unshown = [content for content in contents if not heads.is_shown(rows.escape(pipeline_id), content)]
        version = table.delete(rows.condition(pipeline_id, [row["generation"] for row in dead], unshown)).version
        # After a write of another process the cache is read anew; until then it is right about what is dead here.
        self._heads = (version if version == before + 1 else before, heads)

    def _next_generation(self, heads: FileIndex) -> int:
        """Return a number that no row has yet, also if the clock was set back."""
        return max(time.time_ns(), heads.newest + 1)

    # Keeping the folder small

    def _compact(self, table: Any, *, at_once: bool = False) -> None:
        """Merge small files and take new rows into the indexes, when enough was written since the last time.

        It rewrites the table, so it is done less often as the table grows: its cost for each write stays level.
        """
        self._writes += 1
        files = len(self._heads[1]) if self._heads else 0
        if not at_once and self._writes < max(self._compact_every, files // 20):
            return
        self._writes = 0
        before, started = table.version, time.monotonic()
        previous_age = self._durable.previous_age()
        maintenance.optimize(table, maintenance.NEVER)
        # Nothing is removed that the newest version on disk is made of.
        self._durable.sync(table.version)
        keep = KEEP_VERSIONS.total_seconds()
        if at_once or started - self._removed_versions_at >= keep:
            keep = max(keep, previous_age) + time.monotonic() - started + 0.1
            maintenance.optimize(table, timedelta(seconds=keep))
            self._removed_versions_at = started
        if self._heads is not None and self._heads[0] == before:
            self._heads = (table.version, self._heads[1])  # the rows are the same
        # The library keeps something of every version and index that it has read, also of those just removed.
        self._session = None
        self._table = self._connect().open_table(TABLE)
        give_back_memory()


def _key(pipeline_id: str, file_id: str) -> FileKey:
    return rows.escape(pipeline_id), rows.escape(file_id)


def _named(file_ids: Collection[str]) -> str:
    first = next(iter(file_ids), "")
    return repr(rows.escape(first)) if len(file_ids) == 1 else f"{len(file_ids)} files"
