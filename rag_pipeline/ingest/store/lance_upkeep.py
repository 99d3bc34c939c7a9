"""Looks through the rows of a LanceDB table, and removes those that nobody needs."""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rag_pipeline.ingest.store import rows
from rag_pipeline.ingest.store.memory import give_back_memory
from rag_pipeline.ingest.types import StoredPipeline, StoreFault, StoreFaultKind

READER_SECONDS = 5.0
"""A search that began before old versions are removed has this long to finish."""

_COLUMNS = ("pipeline_id", "file_id", "generation", "chunk")
_Key = tuple[str, str]  # pipeline_id and file_id, escaped


@dataclass(slots=True)
class _Generation:
    """The rows of one replacement of a file; a whole one has a head and the chunks 0 to ``last``."""

    has_head: bool = False
    chunks: int = 0
    last: int = -1


def pipelines(table: Any) -> dict[str, StoredPipeline]:
    """Return the number of current files and chunks by pipeline id, and when the newest was written."""
    counted: dict[str, StoredPipeline] = {}
    for (pipeline_id, _), generations in _read(table).items():
        name = rows.unescape(pipeline_id)
        before = counted.get(name, StoredPipeline(0, 0))
        current = _current(generations)
        if current is None:
            counted[name] = before
        else:
            counted[name] = StoredPipeline(
                before.files + 1,
                before.chunks + generations[current].chunks,
                max(before.changed_at or 0.0, current / 1e9),
            )
    return dict(sorted(counted.items()))


def faults(table: Any) -> list[StoreFault]:
    """Return what a killed writer or a foreign hand has left: see :class:`StoreFaultKind`."""
    found = [fault for key, generations in _read(table).items() for fault in _faults_of(key, generations)]
    query = table.search().where("chunk >= 0 AND vector IS NULL").select(list(_COLUMNS)).limit(1 << 31)
    missing: dict[_Key, int] = defaultdict(int)
    for pipeline_id, file_id, _, _ in _tuples(query):
        missing[pipeline_id, file_id] += 1
    found += (_fault(key, StoreFaultKind.WRONG_VECTORS, count) for key, count in missing.items())
    return sorted(found, key=lambda fault: (fault.pipeline_id, fault.file_id, fault.kind))


def drop(table: Any, pipeline_id: str) -> None:
    """Delete the rows of a pipeline, and have its text rewritten away with the next merge.

    A merge leaves a large file as it is if few of its rows are deleted, and the text with them. It joins files that
    lie beside each other: so one row that stays is written once more, as a file of its own.
    """
    table.delete(f"pipeline_id = {rows.quote(rows.escape(pipeline_id))}")
    others = (
        table.search().where(f"chunk = {rows.HEAD}").select(list(rows.HEAD_COLUMNS)).limit(1).to_arrow().to_pylist()
    )
    for head in others:
        condition = rows.condition(rows.unescape(head["pipeline_id"]), rows.unescape(head["file_id"]))
        where = f"{condition} AND chunk = {rows.HEAD} AND generation = {head['generation']}"
        table.update(where=where, values={"name": head["name"]})


def remove_leftovers(table: Any) -> None:
    """Delete all rows but those of each file's current generation."""
    for (pipeline_id, file_id), generations in _read(table).items():
        current = _current(generations)
        if set(generations) != {current}:
            condition = rows.condition(rows.unescape(pipeline_id), rows.unescape(file_id))
            table.delete(condition if current is None else f"{condition} AND generation != {current}")


def merge(table: Any) -> None:
    """Merge small files, then remove all versions but the newest once those who read them have finished."""
    for _ in range(2):  # files that the indexes cover are not merged with new ones: the first time adds those to them
        _optimize(table, timedelta(seconds=60))
    threading.Event().wait(READER_SECONDS)  # nothing sets it: it is the time that readers get
    _optimize(table, timedelta(seconds=READER_SECONDS))
    give_back_memory()


def _optimize(table: Any, keep: timedelta) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.optimize(cleanup_older_than=keep)


def _read(table: Any) -> dict[_Key, dict[int, _Generation]]:
    """Return the generations of each file; the texts and vectors are not read."""
    found: dict[_Key, dict[int, _Generation]] = defaultdict(lambda: defaultdict(_Generation))
    for pipeline_id, file_id, number, chunk in _tuples(table.search().select(list(_COLUMNS)).limit(1 << 31)):
        generation = found[pipeline_id, file_id][number]
        if chunk == rows.HEAD:
            generation.has_head = True
        else:
            generation.chunks += 1
            generation.last = max(generation.last, chunk)
    return found


def _tuples(query: Any) -> Iterator[tuple[str, str, int, int]]:
    for batch in query.to_batches():
        yield from zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True)


def _current(generations: Mapping[int, _Generation]) -> int | None:
    return max((number for number, generation in generations.items() if generation.has_head), default=None)


def _faults_of(key: _Key, generations: Mapping[int, _Generation]) -> Iterator[StoreFault]:
    current = _current(generations)
    older = [number for number in generations if current is not None and number < current]
    # Chunks above the newest head are nobody's either.
    lost = sum(one.chunks for number, one in generations.items() if current is None or number > current)
    if older:
        yield _fault(key, StoreFaultKind.OLDER_GENERATION, sum(generations[number].chunks for number in older))
    if lost:
        yield _fault(key, StoreFaultKind.CHUNKS_WITHOUT_FILE, lost)
    if current is not None and (absent := generations[current].last + 1 - generations[current].chunks):
        yield _fault(key, StoreFaultKind.MISSING_CHUNKS, absent)


def _fault(key: _Key, kind: StoreFaultKind, count: int) -> StoreFault:
    return StoreFault(rows.unescape(key[0]), rows.unescape(key[1]), kind, count)
