"""Reads entries of the stream. An entry that is not an event of this service is skipped and logged."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.common.pipeline_id import MAX_PIPELINE_ID_LENGTH
from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import Entry, StoredBody
from rag_pipeline.journal.redis.keys import pairs, position_of

logger = logging.getLogger("rag_pipeline.journal")

LOG_SECONDS = 60.0
_MAX_KNOWN = 1000

# The fields that readers rely on. Other versions of the service, with the same stream, may write more or less.
_FILE = {"name": (str,), "id": (str, type(None)), "started_at": (str, type(None))}
_STATE = {
    "pipeline_type": (str, type(None)), "status": (str,), "last_activity": (str, type(None)),
    "next_check_time": (str, type(None)), "files_in_flight": (int,),
    **dict.fromkeys(("files_processing", "files_completed", "files_failed", "files_skipped"), (list,)),
    **dict.fromkeys(("total_processed", "total_failed", "total_skipped", "total_deleted"), (int,)),
}  # fmt: skip
_ADDED_LATER = {"total_with_warnings": 0}
"""Fields of a state that earlier versions do not write."""
_OUTCOMES = frozenset(events.EVENT_NAMES) - {events.STATUS, events.FILE_STARTED, events.FILE_PROGRESS}

RawEntry = tuple[str, list[str]]
"""An entry as Redis returns it: the id, then alternating field names and values."""


class ForeignEntryLog:
    """Logs entries that are not events of this service: the first at once, then at most one line a minute.

    Shared by all readers of the stream in this process; any thread may call it.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._lock = native.allocate_lock()  # protects what follows
        self._known: dict[str, None] = {}
        self._count = 0
        self._next_line = -math.inf

    def note(self, entry_id: str, why: str) -> None:
        """Note a skipped entry; noting it again does nothing."""
        now = time.monotonic()
        with self._lock:
            if entry_id in self._known:
                return
            self._known[entry_id] = None
            if len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._count += 1
            logs, count = now >= self._next_line, self._count
            if logs:
                self._count, self._next_line = 0, now + LOG_SECONDS
        if logs:
            more = f" (and {count - 1} more)" if count > 1 else ""
            logger.warning(
                "entry %s of %s%s is not an event of this service: %s; skipped", entry_id, self._key, more, why
            )


def read_entries(found: Iterable[RawEntry], foreign_log: ForeignEntryLog) -> list[Entry]:
    """Return the events among the entries, in order."""
    entries = []
    for entry_id, fields in found:
        try:
            entries.append(entry_of(entry_id, pairs(fields)))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            foreign_log.note(entry_id, _reason(error))
    return entries


def entry_of(entry_id: str, fields: Mapping[str, str], *, numbered: bool | None = None) -> Entry:
    """Return the event from the fields of a stream entry, or of a pipeline's last status.

    Raises KeyError, TypeError or ValueError if they are not an event of this service.
    """
    text, name, pipeline_id = fields["text"], fields["name"], fields["pipeline_id"]
    namespaces = tuple(fields["namespaces"].split(" "))
    at, seq = float(fields["at"]), int(fields["seq"])
    if name not in events.EVENT_NAMES or not set(namespaces) <= set(events.NAMESPACES):
        raise ValueError("its name or a namespace is unknown")
    if not (0 < len(pipeline_id) <= MAX_PIPELINE_ID_LENGTH and math.isfinite(at) and seq >= 0):
        raise ValueError("its pipeline id, time or seq is invalid")
    event = PipelineEvent(
        name,
        namespaces,
        pipeline_id,
        fields["pipeline_type"] or None,
        fields["epoch"],
        seq,
        at,
        StoredBody(text),
        fields["numbered"] == "1" if numbered is None else numbered,
    )
    payload = _decode(text)
    _check(payload, event)
    if name == events.STATUS:
        payload = {**_ADDED_LATER, **payload}
    return Entry(position_of(entry_id), event, text, payload)


def _check(payload: Any, event: PipelineEvent) -> None:
    """Raise ValueError unless the payload belongs to the event and has the fields that readers rely on."""
    if not isinstance(payload, dict):
        raise ValueError("its text is not a JSON object")
    envelope = (payload.get("pipeline_id"), payload.get("epoch"), payload.get("seq"))
    if envelope != (event.pipeline_id, event.epoch, event.seq) or "timestamp" not in payload:
        raise ValueError("its text belongs to another event")
    if event.name == events.STATUS:
        _require(payload, _STATE)
        for file in payload["files_processing"]:
            _require(file, _FILE)
        return
    _require(payload.get("file"), _FILE)
    if event.name in _OUTCOMES:
        _require(payload.get("totals"), {})


def _require(found: Any, fields: Mapping[str, tuple[type, ...]]) -> None:
    if not isinstance(found, dict) or not all(isinstance(found.get(key, ...), kinds) for key, kinds in fields.items()):
        raise ValueError("its text lacks fields of an event")


def _no_constant(text: str) -> Any:
    raise ValueError(f"its text contains {text}, which is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no field {error.args[0]!r}"
    return str(error) if type(error) is ValueError and str(error).startswith("its ") else "a field can't be read"
