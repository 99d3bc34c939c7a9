"""What is read back from Redis beside the events: the state of pipelines, and their files."""

from __future__ import annotations

import heapq
import json
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from rag_pipeline.contract.events import Json
from rag_pipeline.journal.base import FileQuery, FileRow, FileStatus
from rag_pipeline.journal.files import OUTCOMES, unpack
from rag_pipeline.journal.history import page_size
from rag_pipeline.journal.redis.connection import Link, RedisRefusedError
from rag_pipeline.journal.redis.keys import Keys, key_of_text, pairs, position_of, score_of
from rag_pipeline.journal.redis.scripts import SAVED
from rag_pipeline.journal.search_text import folded
from rag_pipeline.status.model import FileRecord, Totals
from rag_pipeline.status.saved import SET_FIELDS, SavedState

logger = logging.getLogger("rag_pipeline.journal")

_CHUNK = 200
_ATTEMPTS = 1 << 20  # the scripts keep the number of an attempt below this in a score


class Row(NamedTuple):
    """A file as Redis keeps it: ``began`` is the position at which it was put in flight."""

    status: str
    position: int
    began: int
    changed_at: float
    file: FileRecord

    @classmethod
    def read(cls, text: str) -> Row:
        """Return the row that stands in a field of the hash."""
        status, entry_id, began, changed_at, record = text.split(" ", 4)
        return cls(status, position_of(entry_id), position_of(began), float(changed_at), unpack(record))


def saved_states(link: Link, keys: Keys) -> dict[str, SavedState]:
    """Return what each pipeline goes on from, all as of one moment; one that can't be read is left out, with a line."""
    states = {}
    for pipeline_id, flat, *rest in link.run(SAVED, [keys.pipelines], [keys.prefix]):
        # Without an epoch the id was taken, but nothing has been written yet.
        if rest and "epoch" not in flat:
            continue
        try:
            states[pipeline_id] = _saved(pipeline_id, pairs(flat), *rest)
        except (KeyError, TypeError, ValueError) as error:
            why = str(error) if rest else flat
            logger.error("what Redis has of pipeline %r can't be read, it begins anew: %s", pipeline_id, why)
    return states


def _saved(
    pipeline_id: str,
    known: dict[str, str],
    completed: list[str],
    failed: list[str],
    skipped: list[str],
    processing: list[str],
    attempts: list[str],
    *ended: list[str],
) -> SavedState:
    in_flight = sorted((row for text in processing if (row := _row(text)) is not None), key=lambda row: row.began)
    return SavedState(
        pipeline_id=pipeline_id,
        pipeline_type=known["type"] or None,
        epoch=known["epoch"],
        seq=int(known["seq"]),
        fields=_fields(known),
        own=json.loads(known.get("own", "{}")),
        totals=Totals(*json.loads(known.get("totals", "[]"))),
        completed=tuple(map(unpack, completed)),
        failed=tuple(map(unpack, failed)),
        skipped=tuple(map(unpack, skipped)),
        in_flight=tuple(row.file for row in in_flight),
        failed_attempts=tuple((key_of_text(key), int(score) % _ATTEMPTS) for key, score in pairs(attempts).items()),
        outcomes=[
            (key_of_text(key), outcome) for outcome, keys in zip(OUTCOMES.values(), ended, strict=True) for key in keys
        ],
    )


def _fields(known: dict[str, str]) -> Json:
    if "fields" in known:
        fields: Json = json.loads(known["fields"])
    else:  # its first status says better; nearly always it comes with the first event
        since = float(known["since"])
        fields = {**dict.fromkeys(SET_FIELDS), "status": "initializing", "started_at": since, "is_checking": False}
    if known.get("active"):
        fields["last_activity"] = float(known["active"])
    return fields


def list_files(
    link: Link, keys: Keys, query: FileQuery, check_open: Callable[[], None] = lambda: None
) -> list[FileRow]:
    """Return the files that fit, the one that changed last first; ``check_open`` raises to end a long search."""
    ids = link.call("ZRANGE", keys.pipelines, 0, -1) if query.pipeline_id is None else [query.pipeline_id]
    statuses = list(FileStatus) if query.status is None else [query.status]
    sources = [
        _readable(link, keys, pipeline_id, status, query, check_open) for pipeline_id in ids for status in statuses
    ]
    merged = heapq.merge(*sources, key=lambda row: row.position, reverse=True)
    return list(islice(merged, page_size(query)))


def _readable(
    link: Link, keys: Keys, pipeline_id: str, status: FileStatus, query: FileQuery, check_open: Callable[[], None]
) -> Iterator[FileRow]:
    """Yield the rows of a pipeline; one whose keys have another use has none, among others."""
    try:
        yield from _newest_first(link, keys, pipeline_id, status, query, check_open)
    except RedisRefusedError:
        if query.pipeline_id is not None:
            raise


def _newest_first(
    link: Link, keys: Keys, pipeline_id: str, status: FileStatus, query: FileQuery, check_open: Callable[[], None]
) -> Iterator[FileRow]:
    by_change, rows = _by_change(link, keys, pipeline_id, status), keys.files(pipeline_id)
    highest = "+inf" if query.before is None else str(score_of(query.before))
    wanted = folded(query.text or "")
    offset = 0
    while found := link.call("ZRANGE", by_change, highest, "-inf", "BYSCORE", "REV", "LIMIT", offset, _CHUNK):
        check_open()
        offset += len(found)
        texts = link.call("HMGET", rows, *found)
        chunk = [row for text in texts if text is not None and (row := _row(text)) is not None]
        # Entries that are close in time may share their score.
        for row in sorted(chunk, key=lambda row: row.position, reverse=True):
            if row.status != status or (query.before is not None and row.position >= query.before):
                continue
            if not wanted or any(wanted in folded(text) for text in _searched(row.file)):
                yield FileRow(row.position, pipeline_id, status, row.changed_at, row.file.to_json())


def _by_change(link: Link, keys: Keys, pipeline_id: str, status: FileStatus) -> str:
    """Return the key of the order of a pipeline's files: where an earlier version has it, if one runs the pipeline."""
    key, before = keys.files_by_change(pipeline_id, status), keys.files_by_change_before(pipeline_id, status)
    if not link.call("EXISTS", key) and link.call("TYPE", before) == "zset":
        return before
    return key


def _row(text: str) -> Row | None:
    try:
        return Row.read(text)
    except (TypeError, ValueError):
        return None  # it was not put there by this service


def _searched(file: FileRecord) -> list[str]:
    return [file.name] if file.error is None else [file.name, file.error.message]
