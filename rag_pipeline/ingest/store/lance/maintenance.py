"""Maintenance of the LanceDB table: statistics, consistency check, and removal of rows that are no longer needed."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rag_pipeline.ingest.store.escaping import escape, unescape
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.chunk_table import UNLIMITED
from rag_pipeline.ingest.store.lance.file_index import ContentKey, FileIndex, TableRow, content_key
from rag_pipeline.ingest.store.lance.memory import give_back_memory
from rag_pipeline.ingest.types import StoredPipeline, StoreFault, StoreFaultKind

NEVER = timedelta(days=36500)
READER_SECONDS = 5.0
"""Seconds that a running search has to finish before old versions are removed."""

_COLUMNS = ("pipeline_id", "file_id", "generation", "chunk", *rows.ADDED_COLUMNS)
_GENERATIONS_AT_ONCE = 1000  # in one DELETE


@dataclass(slots=True)
class _Chunks:
    """The chunks of one content; complete if their numbers are 0 to ``last``. ``file_id`` is that of the first file."""

    file_id: str
    count: int
    last: int


@dataclass(slots=True)
class _TableKeys:
    """The keys of all rows in one version of the table, without texts and vectors."""

    files: FileIndex
    outdated: list[TableRow]
    chunks: dict[ContentKey, _Chunks]

    def unused_chunks(self) -> dict[ContentKey, _Chunks]:
        """Return the chunks that no file has."""
        return {content: chunks for content, chunks in self.chunks.items() if not self.files.has_content(content)}


def pipelines(table: Any) -> dict[str, StoredPipeline]:
    """Return the number of files and chunks of each pipeline, and the time of its newest write."""
    keys = _read_keys(table)
    ids = {
        *(pipeline_id for pipeline_id, _ in keys.chunks),
        *(row["pipeline_id"] for row in (*keys.files, *keys.outdated)),
    }
    counts = dict.fromkeys(sorted(ids), StoredPipeline(0, 0))
    for file_row in keys.files:
        before = counts[file_row["pipeline_id"]]
        chunks = keys.chunks.get(content_key(file_row))
        counts[file_row["pipeline_id"]] = StoredPipeline(
            before.files + 1,
            before.chunks + (chunks.count if chunks else 0),
            max(before.changed_at or 0.0, file_row["generation"] / 1e9),
        )
    return {unescape(pipeline_id): stored for pipeline_id, stored in counts.items()}


def faults(table: Any) -> list[StoreFault]:
    """Return what a killed writer or a foreign program left: see :class:`StoreFaultKind`."""
    keys = _read_keys(table)
    counts: Counter[tuple[str, str, StoreFaultKind]] = Counter()
    for row in keys.outdated:
        counts[row["pipeline_id"], row["file_id"], StoreFaultKind.REPLACED_ROWS] += 1
    for (pipeline_id, _), chunks in keys.unused_chunks().items():
        counts[pipeline_id, chunks.file_id, StoreFaultKind.CHUNKS_WITHOUT_FILE] += chunks.count
    without_vector = _count_without_vector(table)
    for file_row in keys.files:
        pipeline_id, file_id, content = file_row["pipeline_id"], file_row["file_id"], content_key(file_row)
        if (stored := keys.chunks.get(content)) is not None and (missing := stored.last + 1 - stored.count) > 0:
            counts[pipeline_id, file_id, StoreFaultKind.MISSING_CHUNKS] = missing
        if count := without_vector[content]:
            counts[pipeline_id, file_id, StoreFaultKind.WRONG_VECTORS] = count
    return sorted(
        (
            StoreFault(unescape(pipeline), unescape(file), kind, count)
            for (pipeline, file, kind), count in counts.items()
        ),
        key=lambda fault: (fault.pipeline_id, fault.file_id, fault.kind),
    )


def drop(table: Any, pipeline_id: str) -> None:
    """Delete the rows of a pipeline, and make the next merge remove its text from disk.

    A merge does not rewrite a large file of which few rows are deleted, so the text would stay. But it joins adjacent
    files: therefore one remaining row is written again, as a new file.
    """
    table.delete(f"pipeline_id = {rows.quote(escape(pipeline_id))}")
    columns = ["pipeline_id", "generation", "name"]
    for row in table.search().where(f"chunk = {rows.FILE_ROW}").select(columns).limit(1).to_arrow().to_pylist():
        where = rows.condition(unescape(row["pipeline_id"]), [row["generation"]], [])
        table.update(where=where, values={"name": row["name"]})


def remove_leftovers(table: Any) -> None:
    """Delete the outdated file rows, then the chunks that no file has."""
    keys = _read_keys(table)
    outdated = ((row["pipeline_id"], row["generation"]) for row in keys.outdated)
    _delete(table, f"chunk = {rows.FILE_ROW}", outdated)
    _delete(table, "chunk >= 0", keys.unused_chunks())


def merge(table: Any, sync: Callable[[int], None]) -> None:
    """Merge small files, then remove all versions but the newest, after running searches have finished."""
    for _ in range(2):  # only indexed files are merged with each other: the first run adds the new ones to the indexes
        optimize(table, NEVER)
    sync(table.version)  # no file of the newest version on disk may be removed
    threading.Event().wait(READER_SECONDS)
    optimize(table, timedelta(seconds=READER_SECONDS))
    give_back_memory()


def optimize(table: Any, keep: timedelta) -> None:
    """Merge small files, add new rows to the indexes, and remove versions older than ``keep``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.optimize(cleanup_older_than=keep)


def _delete(table: Any, condition: str, generations: Iterable[ContentKey]) -> None:
    by_pipeline: dict[str, list[int]] = defaultdict(list)
    for pipeline_id, generation in generations:
        by_pipeline[pipeline_id].append(generation)
    for pipeline_id, numbers in by_pipeline.items():
        for start in range(0, len(numbers), _GENERATIONS_AT_ONCE):
            some = rows.number_list(numbers[start : start + _GENERATIONS_AT_ONCE])
            table.delete(f"pipeline_id = {rows.quote(pipeline_id)} AND generation IN ({some}) AND {condition}")


def _read_keys(table: Any) -> _TableKeys:
    """Read the keys of all rows in one query, so that another process's commit is seen completely or not at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    file_rows: list[TableRow] = []
    chunks: dict[ContentKey, _Chunks] = {}
    columns = [name for name in _COLUMNS if name in table.schema.names]
    for batch in table.search().select(columns).limit(UNLIMITED).to_batches():
        part = pa.Table.from_batches([batch])
        is_file_row = pc.equal(part["chunk"], rows.FILE_ROW)
        file_rows += part.filter(is_file_row).to_pylist()
        by_content = part.filter(pc.invert(is_file_row)).group_by(["pipeline_id", "generation"])
        for row in by_content.aggregate([("file_id", "min"), ("chunk", "count"), ("chunk", "max")]).to_pylist():
            stored = chunks.setdefault((row["pipeline_id"], row["generation"]), _Chunks(row["file_id_min"], 0, -1))
            stored.count += row["chunk_count"]
            stored.last = max(stored.last, row["chunk_max"])
    files = FileIndex(file_rows)
    return _TableKeys(files, files.outdated(file_rows), chunks)


def _count_without_vector(table: Any) -> Counter[ContentKey]:
    query = table.search().where("chunk >= 0 AND vector IS NULL").select(["pipeline_id", "generation"])
    return Counter((row["pipeline_id"], row["generation"]) for row in query.limit(UNLIMITED).to_arrow().to_pylist())
