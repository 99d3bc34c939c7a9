"""Looks through the rows of a LanceDB table, and removes those that nobody needs."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.lance.file_index import FileIndex, TableRow
from rag_pipeline.ingest.store.lance.memory import give_back_memory
from rag_pipeline.ingest.types import StoredPipeline, StoreFault, StoreFaultKind

NEVER = timedelta(days=36500)
READER_SECONDS = 5.0
"""A search that began before old versions are removed has this long to finish."""

_COLUMNS = ("pipeline_id", "file_id", "generation", "chunk", *rows.ADDED_COLUMNS)
_ROWS_AT_ONCE = 1000  # generations in one statement that removes
_Content = tuple[str, int]  # pipeline_id, escaped, and the generation of the chunks


@dataclass(slots=True)
class _Chunks:
    """The chunks of one generation; a whole set has the numbers 0 to ``last``. ``file_id`` is the one stored with."""

    file_id: str
    count: int
    last: int


@dataclass(slots=True)
class _Contents:
    """All rows of one version of the table; texts and vectors are not read."""

    heads: FileIndex
    replaced: list[TableRow]
    chunks: dict[_Content, _Chunks]

    def unshown(self) -> dict[_Content, _Chunks]:
        """Return the chunks that no file shows."""
        return {content: one for content, one in self.chunks.items() if not self.heads.is_shown(*content)}


def pipelines(table: Any) -> dict[str, StoredPipeline]:
    """Return the number of files and of the chunks they show by pipeline id, and when the newest was written."""
    found = _read(table)
    names = {*(name for name, _ in found.chunks), *(row["pipeline_id"] for row in (*found.heads, *found.replaced))}
    counted = dict.fromkeys(sorted(names), StoredPipeline(0, 0))
    for head in found.heads:
        before = counted[head["pipeline_id"]]
        chunks = found.chunks.get(_content_of(head))
        counted[head["pipeline_id"]] = StoredPipeline(
            before.files + 1,
            before.chunks + (chunks.count if chunks else 0),
            max(before.changed_at or 0.0, head["generation"] / 1e9),
        )
    return {rows.unescape(name): one for name, one in counted.items()}


def faults(table: Any) -> list[StoreFault]:
    """Return what a killed writer or a foreign hand has left: see :class:`StoreFaultKind`."""
    found = _read(table)
    counts: Counter[tuple[str, str, StoreFaultKind]] = Counter()
    for row in found.replaced:
        counts[row["pipeline_id"], row["file_id"], StoreFaultKind.REPLACED_ROWS] += 1
    for (pipeline_id, _), chunks in found.unshown().items():
        counts[pipeline_id, chunks.file_id, StoreFaultKind.CHUNKS_WITHOUT_FILE] += chunks.count
    without_vector = _count_without_vector(table)
    for head in found.heads:
        pipeline_id, file_id, content = head["pipeline_id"], head["file_id"], _content_of(head)
        if (shown := found.chunks.get(content)) is not None and (absent := shown.last + 1 - shown.count) > 0:
            counts[pipeline_id, file_id, StoreFaultKind.MISSING_CHUNKS] = absent
        if count := without_vector[content]:
            counts[pipeline_id, file_id, StoreFaultKind.WRONG_VECTORS] = count
    made = (StoreFault(rows.unescape(name), rows.unescape(file), kind, n) for (name, file, kind), n in counts.items())
    return sorted(made, key=lambda fault: (fault.pipeline_id, fault.file_id, fault.kind))


def drop(table: Any, pipeline_id: str) -> None:
    """Delete the rows of a pipeline, and have its text rewritten away with the next merge.

    A merge leaves a large file as it is if few of its rows are deleted, and the text with them. It joins files that
    lie beside each other: so one row that stays is written once more, as a file of its own.
    """
    table.delete(f"pipeline_id = {rows.quote(rows.escape(pipeline_id))}")
    columns = ["pipeline_id", "generation", "name"]
    for head in table.search().where(f"chunk = {rows.FILE_ROW}").select(columns).limit(1).to_arrow().to_pylist():
        where = rows.condition(rows.unescape(head["pipeline_id"]), [head["generation"]], [])
        table.update(where=where, values={"name": head["name"]})


def remove_leftovers(table: Any) -> None:
    """Delete the heads that do not count, then the chunks that no file shows."""
    found = _read(table)
    _delete(table, f"chunk = {rows.FILE_ROW}", ((row["pipeline_id"], row["generation"]) for row in found.replaced))
    _delete(table, "chunk >= 0", found.unshown())


def merge(table: Any, sync: Callable[[int], None]) -> None:
    """Merge small files, then remove all versions but the newest once those who read them have finished."""
    for _ in range(2):  # files that the indexes cover are not merged with new ones: the first time adds those to them
        optimize(table, NEVER)
    sync(table.version)  # nothing is removed that the newest version on disk is made of
    threading.Event().wait(READER_SECONDS)  # nothing sets it: it is the time that readers get
    optimize(table, timedelta(seconds=READER_SECONDS))
    give_back_memory()


def optimize(table: Any, keep: timedelta) -> None:
    """Merge small files, take new rows into the indexes, and remove versions older than ``keep``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.optimize(cleanup_older_than=keep)


def _delete(table: Any, kind: str, generations: Iterable[_Content]) -> None:
    by_pipeline: dict[str, list[int]] = defaultdict(list)
    for pipeline_id, generation in generations:
        by_pipeline[pipeline_id].append(generation)
    for pipeline_id, numbers in by_pipeline.items():
        for start in range(0, len(numbers), _ROWS_AT_ONCE):
            listed = ", ".join(map(str, numbers[start : start + _ROWS_AT_ONCE]))
            table.delete(f"pipeline_id = {rows.quote(pipeline_id)} AND generation IN ({listed}) AND {kind}")


def _read(table: Any) -> _Contents:
    """Read the keys of all rows in one query, so that a write of another process is seen whole or not at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    head_rows: list[TableRow] = []
    chunks: dict[_Content, _Chunks] = {}
    present = [name for name in _COLUMNS if name in table.schema.names]
    for batch in table.search().select(present).limit(1 << 31).to_batches():
        part = pa.Table.from_batches([batch])
        is_head = pc.equal(part["chunk"], rows.FILE_ROW)
        head_rows += part.filter(is_head).to_pylist()
        by_content = part.filter(pc.invert(is_head)).group_by(["pipeline_id", "generation"])
        for row in by_content.aggregate([("file_id", "min"), ("chunk", "count"), ("chunk", "max")]).to_pylist():
            before = chunks.setdefault((row["pipeline_id"], row["generation"]), _Chunks(row["file_id_min"], 0, -1))
            before.count += row["chunk_count"]
            before.last = max(before.last, row["chunk_max"])
    heads = FileIndex(head_rows)
    return _Contents(heads, heads.replaced(head_rows), chunks)


def _count_without_vector(table: Any) -> Counter[_Content]:
    query = table.search().where("chunk >= 0 AND vector IS NULL").select(["pipeline_id", "generation"]).limit(1 << 31)
    return Counter((row["pipeline_id"], row["generation"]) for row in query.to_arrow().to_pylist())


def _content_of(head: TableRow) -> _Content:
    return head["pipeline_id"], rows.content_of(head)
