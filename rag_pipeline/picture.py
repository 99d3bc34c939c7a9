"""Keeping a pipeline's state from its events, as JSON: what any client does that shows more than the last status.

The rules are those of docs/protocol.md: a ``pipeline:status`` replaces everything, another event what it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipeline import events
from rag_pipeline.events import Json

BESIDE_THE_STATE = frozenset({"timestamp", "offset", "recovered", "gap"})
"""What a ``pipeline:status`` carries that is not of the state."""
MAX_PROCESSING = 100
_KEPT = {
    events.FILE_COMPLETED: ("files_completed", 10),
    events.FILE_FAILED: ("files_failed", 5),
    events.FILE_SKIPPED: ("files_skipped", 5),
}


def apply(state: Json | None, name: str, payload: Mapping[str, Any]) -> Json | None:
    """Return the state after the event; None while no status has come. What was handed in is not changed."""
    if name == events.STATUS:
        return {key: value for key, value in payload.items() if key not in BESIDE_THE_STATE}
    if state is None or (payload["epoch"] == state["epoch"] and payload["seq"] <= state["seq"]):
        return state
    file = payload["file"]
    processing = [one for one in state["files_processing"] if not _same(one, file)]
    listed = len(processing) < len(state["files_processing"])
    in_flight = state["files_in_flight"]
    changed: Json = {"epoch": payload["epoch"], "seq": payload["seq"], "last_activity": payload["timestamp"]}
    if name == events.FILE_STARTED:
        processing = [*processing, file][-MAX_PROCESSING:]
        in_flight += 0 if listed else 1
    elif name == events.FILE_PROGRESS:
        processing = [file if _same(one, file) else one for one in state["files_processing"]]
    else:
        in_flight -= 1 if file["started_at"] is not None and (listed or in_flight > MAX_PROCESSING) else 0
        changed |= payload["totals"]
        if name in _KEPT:
            key, limit = _KEPT[name]
            changed[key] = [*state[key], file][-limit:]
    return {**state, **changed, "files_processing": processing, "files_in_flight": in_flight}


def _same(one: Json, other: Json) -> bool:
    """Whether both are one file: by id, or by name where one has none yet."""
    if one["id"] is None or other["id"] is None:
        return bool(one["name"] == other["name"])
    return bool(one["id"] == other["id"])
