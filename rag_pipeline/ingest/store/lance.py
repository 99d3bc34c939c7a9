"""The vector store on LanceDB: one table of chunks in a folder, searched by words and by meaning."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store import lance_upkeep, rows
from rag_pipeline.ingest.store.faults import translated
from rag_pipeline.ingest.store.fusion import fuse
from rag_pipeline.ingest.store.memory import give_back_memory
from rag_pipeline.ingest.types import Chunk, SearchHit, SourceFile, StoredPipeline, StoreFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

TABLE = "chunks"
# Each write adds files and a version; this often they are merged, and versions nobody can be reading are removed.
COMPACT_EVERY = 200
KEEP_VERSIONS = timedelta(seconds=60)
# What the library may keep in memory of indexes and of versions. By itself it takes up to 7 GB, and a pipeline that
# writes for hours gets there.
INDEX_CACHE_BYTES = 128 << 20
METADATA_CACHE_BYTES = 32 << 20
_QUESTION_CHARACTERS = 2000
_CANDIDATES = 50
_Key = tuple[str, str, int, int]  # pipeline_id, file_id, generation, chunk


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
        self._clean = False
        self._closed = False
        self._heads: tuple[int, dict[tuple[str, str], dict[str, Any]]] | None = None
        self._session: Any = None
        self._table: Any = None
        with translated(self._path, "opening the vector store"):
            self._table = self._open()

    def replace(self, pipeline_id: str, file: SourceFile, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Make these the file's only chunks: after a crash the store holds the old ones or the new ones, once.

        ``vectors`` is (len(chunks), dimensions); a file without chunks is still listed by :meth:`files`.
        """
        import numpy as np

        vectors = np.ascontiguousarray(vectors, np.float32)
        if vectors.size != len(chunks) * self._dimensions or not np.all(np.isfinite(vectors)):
            raise ValueError(f"vectors: expected {len(chunks)} finite rows of {self._dimensions}")
        with self._lock, translated(self._path, f"storing {rows.escape(file.name)!r}"):
            table = self._writable()
            condition = rows.condition(pipeline_id, file.file_id)
            head = self._current(table).get((rows.escape(pipeline_id), rows.escape(file.file_id)))
            # Rises even if the clock was set back.
            generation = max(time.time_ns(), head["generation"] + 1 if head else 0)
            table.add(rows.build(table.schema, pipeline_id, file, generation, chunks, vectors))
            if head is not None:
                table.delete(f"{condition} AND generation < {generation}")
            self._remember(table, rows.build(table.schema, pipeline_id, file, generation, (), vectors[:0]))
            self._compact(table)

    def rename(self, pipeline_id: str, file_id: str, name: str, uri: str) -> None:
        """Give a stored file another name and address, in one commit; no error if it isn't stored."""
        with self._lock, translated(self._path, f"renaming {rows.escape(file_id)!r}"):
            if self._table is None and self._open() is None:
                return
            table = self._writable()
            key = (rows.escape(pipeline_id), rows.escape(file_id))
            head = self._current(table).get(key)
            if head is None:
                return
            changed = {"name": rows.escape(name), "uri": rows.escape(uri)}
            where = (
                f"{rows.condition(pipeline_id, file_id)} AND chunk = {rows.HEAD} AND generation = {head['generation']}"
            )
            table.update(where=where, values=changed)
            assert self._heads is not None
            self._heads[1][key] = {**head, **changed}
            self._heads = (table.version, self._heads[1])
            self._compact(table)

    def delete(self, pipeline_id: str, file_id: str) -> None:
        """Remove the file's chunks; no error if there are none."""
        with self._lock, translated(self._path, f"removing {rows.escape(file_id)!r}"):
            if self._table is None and self._open() is None:
                return
            table = self._writable()
            table.delete(rows.condition(pipeline_id, file_id))
            self._forget(table, (rows.escape(pipeline_id), rows.escape(file_id)))
            self._compact(table)

    def files(self, pipeline_id: str) -> dict[str, SourceFile]:
        """Return the files whose chunks are stored, by file_id."""
        with self._lock, translated(self._path, "reading the stored files"):
            table = self._readable()
            heads = {} if table is None else self._current(table)
            found = [rows.source_file(row) for key, row in heads.items() if key[0] == rows.escape(pipeline_id)]
            return {file.file_id: file for file in found}

    def search(self, question: str, vector: Vectors, *, limit: int = 5) -> list[SearchHit]:
        """Return the best chunks, best first: BM25 over the words and cosine over the vectors, fused by rank.

        ``vector`` is 1-D. The score is 0..1, where 1 is first by words and by meaning; equal scores are ordered by
        file and place, so the same question on the same store has the same answer.
        """
        with translated(self._path, "searching"):
            with self._lock:
                table = self._readable()
            if table is None or limit < 1:
                return []
            hits: list[SearchHit] = []
            for _ in range(4):
                version = table.version
                hits, stale = self._search_once(table, question, vector, limit)
                if not stale or table.version == version:
                    break  # a file was replaced between reading the chunks and the heads: look again
            return hits

    def compact(self) -> None:
        """Merge small files, index new rows, drop old versions: worth its second or so after a busy time."""
        with self._lock, translated(self._path, "compacting the vector store"):
            if self._readable() is not None:
                self._compact(self._writable(), at_once=True)

    def pipelines(self) -> dict[str, StoredPipeline]:
        """Return what is stored of each pipeline, by pipeline id."""
        with self._lock, translated(self._path, "counting the stored files"):
            table = self._readable()
            return {} if table is None else lance_upkeep.pipelines(table)

    def drop(self, pipeline_id: str) -> None:
        """Remove all files of a pipeline; their text leaves the disk with :meth:`tidy`."""
        with self._lock, translated(self._path, f"removing {rows.escape(pipeline_id)!r}"):
            if self._readable() is not None:
                lance_upkeep.drop(self._writable(), pipeline_id)

    def faults(self) -> list[StoreFault]:
        """Return the rows that no write leaves in the end; writes nothing."""
        with self._lock, translated(self._path, "checking the vector store"):
            table = self._readable()
            return [] if table is None else lance_upkeep.faults(table)

    def tidy(self) -> None:
        """Remove leftovers, merge small files and remove old versions; takes seconds, in which readers can finish."""
        with self._lock, translated(self._path, "compacting the vector store"):
            if self._readable() is not None:
                table = self._writable()
                lance_upkeep.remove_leftovers(table)
                lance_upkeep.merge(table)

    def close(self) -> None:
        """Release the table; idempotent. Every write is on disk when it returns, so nothing is flushed."""
        with self._lock:
            self._closed = True
            self._table = None
            self._heads = None

    # Opening

    def _open(self) -> Any:
        """Return the table, or None if there is none yet; raises StoreError for another model's."""
        if self._path.exists() and not self._path.is_dir():
            raise StoreError(f"{self._path}: the vector store must be a folder, and this is a file")
        if not (self._path / f"{TABLE}.lance").is_dir():
            return None
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

    def _connect(self) -> Any:
        # Read as the library loads: its warnings are meant for its authors, and its errors come as StoreError.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        if self._session is None:
            self._session = lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES)
        return lancedb.connect(self._path, read_consistency_interval=timedelta(0), session=self._session)

    def _readable(self) -> Any:
        self._check_open()
        if self._table is None:
            self._table = self._open()  # another process may have made it meanwhile
        return self._table

    def _writable(self) -> Any:
        """Return the table, made if need be, with its indexes, and without what a crash may have left."""
        assert self._lock.locked()
        table = self._readable()
        if table is None:
            self._path.mkdir(parents=True, exist_ok=True)
            table = self._connect().create_table(
                TABLE, schema=rows.schema(self._model_id, self._dimensions), exist_ok=True
            )
            self._table = table
        if not self._clean:
            self._index(table)
            self._remove_leftovers(table)
            self._clean = True
        return table

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self._path}: the vector store is closed")

    @staticmethod
    def _index(table: Any) -> None:
        from lancedb.index import FTS, BTree

        present = {column for index in table.list_indices() for column in index.columns}
        if "text" not in present:
            # icu finds the words of scripts without spaces too.
            table.create_index("text", config=FTS(base_tokenizer="icu"))
        if "file_id" not in present:
            table.create_index("file_id", config=BTree())

    def _remove_leftovers(self, table: Any) -> None:
        latest = {key: row["generation"] for key, row in self._current(table).items()}
        for row in self._read_heads(table):
            generation = latest[row["pipeline_id"], row["file_id"]]
            if row["generation"] < generation:
                condition = rows.condition(rows.unescape(row["pipeline_id"]), rows.unescape(row["file_id"]))
                table.delete(f"{condition} AND generation < {generation}")

    # Heads: the files that are stored, cached for the table's version

    @staticmethod
    def _read_heads(table: Any) -> list[dict[str, Any]]:
        query = table.search().where(f"chunk = {rows.HEAD}").select(list(rows.HEAD_COLUMNS)).limit(1 << 31)
        found: list[dict[str, Any]] = query.to_arrow().to_pylist()
        return found

    def _current(self, table: Any) -> dict[tuple[str, str], dict[str, Any]]:
        assert self._lock.locked()
        version = table.version
        if self._heads is None or self._heads[0] != version:
            latest: dict[tuple[str, str], dict[str, Any]] = {}
            for row in sorted(self._read_heads(table), key=lambda row: row["generation"]):
                latest[row["pipeline_id"], row["file_id"]] = row
            self._heads = (version, latest)
        return self._heads[1]

    def _remember(self, table: Any, head: Any) -> None:
        """Keep the cache in step with this process's own write, which alone made the new version."""
        assert self._heads is not None
        row = head.to_pylist()[0]
        self._heads[1][row["pipeline_id"], row["file_id"]] = row
        self._heads = (table.version, self._heads[1])

    def _forget(self, table: Any, key: tuple[str, str]) -> None:
        if self._heads is not None:
            self._heads[1].pop(key, None)
            self._heads = (table.version, self._heads[1])

    # Searching

    def _search_once(self, table: Any, question: str, vector: Vectors, limit: int) -> tuple[list[SearchHit], bool]:
        found: dict[_Key, dict[str, Any]] = {}
        rankings: list[list[_Key]] = []
        for ranked in (self._by_words(table, question, limit), self._by_meaning(table, vector, limit)):
            keys = [(row["pipeline_id"], row["file_id"], row["generation"], row["chunk"]) for row in ranked]
            found.update(zip(keys, ranked, strict=True))
            rankings.append(keys)
        with self._lock:
            heads = self._current(table)
            wanted = {key[:2] for key in found}
            current = {key: heads[key] for key in wanted if key in heads}
        live = [[k for k in keys if k[:2] in current and current[k[:2]]["generation"] == k[2]] for keys in rankings]
        scores = fuse(live)
        best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
        hits = [_hit(found[key], rows.source_file(current[key[:2]]), scores[key]) for key in best]
        return hits, len(scores) < len(found)

    @staticmethod
    def _by_words(table: Any, question: str, limit: int) -> list[dict[str, Any]]:
        # The words alone: as a match query they are no expression, so quotes and operators mean nothing.
        words = question[:_QUESTION_CHARACTERS].encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
        if not words.strip():
            return []
        query = table.search(_match_query(words), query_type="fts")
        return _ranked(query, "_score", limit, descending=True)

    @staticmethod
    def _by_meaning(table: Any, vector: Vectors, limit: int) -> list[dict[str, Any]]:
        query = table.search(vector, vector_column_name="vector").distance_type("cosine")
        return _ranked(query, "_distance", limit, descending=False)

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
        before = table.version
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table.optimize(cleanup_older_than=KEEP_VERSIONS)
        give_back_memory()
        if self._heads is not None and self._heads[0] == before:
            self._heads = (table.version, self._heads[1])  # the rows are the same


def _match_query(words: str) -> Any:
    from lancedb import query

    make: Any = query.MatchQuery  # its stub asks for the arguments that have defaults
    return make(words, "text")


def _ranked(query: Any, score: str, limit: int, *, descending: bool) -> list[dict[str, Any]]:
    columns = ["pipeline_id", "file_id", "generation", "chunk", "place", "text", score]
    found: list[dict[str, Any]] = (
        query.where("chunk >= 0", prefilter=True)
        .select(columns)
        .limit(max(_CANDIDATES, 4 * limit))
        .to_arrow()
        .to_pylist()
    )
    sign = -1 if descending else 1
    # Equal scores come in any order from the library.
    return sorted(found, key=lambda row: (sign * row[score], row["pipeline_id"], row["file_id"], row["chunk"]))


def _hit(row: dict[str, Any], file: SourceFile, score: float) -> SearchHit:
    return SearchHit(
        text=row["text"], file_id=file.file_id, name=file.name, uri=file.uri, place=row["place"], score=score
    )
