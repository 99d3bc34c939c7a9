"""Keeping a pipeline's state from its events, as JSON: what any client does that shows more than the last status.

The rules are those of docs/protocol.md: a ``pipeline:status`` replaces everything, another event what it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json

BESIDE_THE_STATE = frozenset({"timestamp", "offset", "recovered", "gap"})
"""What a ``pipeline:status`` carries that is not of the state."""
MAX_PROCESSING = 100
_KEPT = {
    events.FILE_COMPLETED: ("files_completed", 10),
    events.FILE_FAILED: ("files_failed", 5),
    events.FILE_SKIPPED: ("files_skipped", 5),
}


def apply_event(state: Json | None, name: str, payload: Mapping[str, Any]) -> Json | None:
    """Return the state after the event; None while no status has come. What was handed in is not changed."""
    if name == events.STATUS:
        return {key: value for key, value in payload.items() if key not in BESIDE_THE_STATE}
    if state is None or (payload["epoch"] == state["epoch"] and payload["seq"] <= state["seq"]):
        return state
    file = payload["file"]
    processing: list[Json] = state["files_processing"]
    place = _place(processing, file, name)
    in_flight = state["files_in_flight"]
    changed: Json = {"epoch": payload["epoch"], "seq": payload["seq"], "last_activity": payload["timestamp"]}
    if name == events.FILE_PROGRESS:
        processing = processing if place is None else [*processing[:place], file, *processing[place + 1 :]]
    elif name == events.FILE_STARTED:
        in_flight += 1 if place is None else 0
        processing = [*_without(processing, place), file][-MAX_PROCESSING:]
    elif file["started_at"] is not None and (place is not None or in_flight > MAX_PROCESSING):
        in_flight -= 1
        processing = _without(processing, place)
    if "totals" in payload:  # the file's former outcome, if it had one, counts no more
        changed |= payload["totals"]
        for key, _ in _KEPT.values():
            changed[key] = [one for one in state[key] if _key(one) != _key(file)]
        if name in _KEPT:
            key, limit = _KEPT[name]
            changed[key] = [*changed[key], file][-limit:]
    return {**state, **changed, "files_processing": processing, "files_in_flight": in_flight}


def _key(file: Json) -> tuple[bool, str]:
    return (True, file["name"]) if file["id"] is None else (False, file["id"])


def _without(files: list[Json], place: int | None) -> list[Json]:
    return files if place is None else [*files[:place], *files[place + 1 :]]


def _place(processing: list[Json], file: Json, name: str) -> int | None:
    """Return where the file stands: under its id, or under its name if it has none."""
    key = "name" if file["id"] is None else "id"
    for place, one in enumerate(processing):
        if (one["id"] is None) == (file["id"] is None) and one[key] == file[key]:
            return place
    if name in (events.FILE_STARTED, events.FILE_PROGRESS) or file["id"] is None:
        return None
    # It was started without an id, which became known by its end.
    unnamed = (place for place, one in enumerate(processing) if one["id"] is None and one["name"] == file["name"])
    return next(unnamed, None)
