"""Compute a pipeline's state from its events, as JSON; for clients that show more than the last status.

The rules are in docs/protocol.md: a ``pipeline:status`` replaces the whole state, any other event its own part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json

BESIDE_THE_STATE = frozenset({"timestamp", "offset", "recovered", "gap"})
"""The fields of a ``pipeline:status`` that are not part of the state."""
MAX_PROCESSING = 100
_KEPT = {
    events.FILE_COMPLETED: ("files_completed", 10),
    events.FILE_FAILED: ("files_failed", 5),
    events.FILE_SKIPPED: ("files_skipped", 5),
}


def apply_event(state: Json | None, name: str, payload: Mapping[str, Any]) -> Json | None:
    """Return the state after the event, None before the first status; the arguments are not changed."""
    if name == events.STATUS:
        return {key: value for key, value in payload.items() if key not in BESIDE_THE_STATE}
    if state is None or (payload["epoch"] == state["epoch"] and payload["seq"] <= state["seq"]):
        return state
    file = payload["file"]
    processing: list[Json] = state["files_processing"]
    index = _index_of(processing, file, name)
    in_flight = state["files_in_flight"]
    changed: Json = {"epoch": payload["epoch"], "seq": payload["seq"], "last_activity": payload["timestamp"]}
    if name == events.FILE_PROGRESS:
        processing = processing if index is None else [*processing[:index], file, *processing[index + 1 :]]
    elif name == events.FILE_STARTED:
        in_flight += 1 if index is None else 0
        processing = [*_without(processing, index), file][-MAX_PROCESSING:]
    elif file["started_at"] is not None and (index is not None or in_flight > MAX_PROCESSING):
        in_flight -= 1
        processing = _without(processing, index)
    if "totals" in payload:  # the file's former outcome no longer counts
        changed |= payload["totals"]
        for key, _ in _KEPT.values():
            changed[key] = [one for one in state[key] if _key(one) != _key(file)]
        if name in _KEPT:
            key, limit = _KEPT[name]
            changed[key] = [*changed[key], file][-limit:]
    return {**state, **changed, "files_processing": processing, "files_in_flight": in_flight}


def _key(file: Json) -> tuple[bool, str]:
    return (True, file["name"]) if file["id"] is None else (False, file["id"])


def _without(files: list[Json], index: int | None) -> list[Json]:
    return files if index is None else [*files[:index], *files[index + 1 :]]


def _index_of(processing: list[Json], file: Json, name: str) -> int | None:
    """Return the index of the file with this id, or with this name if it has no id."""
    key = "name" if file["id"] is None else "id"
    for index, one in enumerate(processing):
        if (one["id"] is None) == (file["id"] is None) and one[key] == file[key]:
            return index
    if name in (events.FILE_STARTED, events.FILE_PROGRESS) or file["id"] is None:
        return None
    # It was started without an id, which is known only at its end.
    unnamed = (index for index, one in enumerate(processing) if one["id"] is None and one["name"] == file["name"])
    return next(unnamed, None)
