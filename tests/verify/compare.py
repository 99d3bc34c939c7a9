"""Finds differences between the emitted events and those that a client received; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

CONNECT = "connect"
DISCONNECT = "disconnect"
STATUS = "pipeline:status"

_MAX_CHARACTERS = 120
# A snapshot is made for one client, so fields that depend on the time differ.
_TIME_FIELDS = ("timestamp", "seconds_until_next_check", "files_per_minute", "eta_seconds")
# Added by the journal after the pipeline has published the event.
_JOURNAL_FIELD = "offset"

Label = tuple[str, object, object]


class Emitted(NamedTuple):
    """One event that a pipeline published to a namespace."""

    name: str
    body: dict[str, Any]


class Received(NamedTuple):
    """What a client received in a namespace: an event with its arguments, ``connect`` or ``disconnect``."""

    name: str
    arguments: tuple[Any, ...] = ()


def differences(received: Sequence[Received], emitted: Sequence[Emitted]) -> list[str]:
    """Return a line for each difference; empty if the client received exactly what was emitted.

    Expected are ``connect``, one snapshot of each pipeline (its first emitted event), then every other event of each
    pipeline in order, each once, with one JSON object as its only argument, and nothing else.
    """
    if not received:
        return ["nothing was received"]
    found = [] if received[0].name == CONNECT else [f"{received[0].name} came before the connection was confirmed"]
    found += [_misplaced(item) for item in received[1:] if not _is_event(item)]
    events = [item for item in received if _is_event(item)]
    found += _snapshots_first(events, len({_pipeline(e.body) for e in emitted}))
    ids = dict.fromkeys([_pipeline(e.body) for e in emitted] + [_pipeline(r.arguments[0]) for r in events])
    for pipeline_id in ids:
        found += _of_pipeline(
            [Emitted(r.name, r.arguments[0]) for r in events if _pipeline(r.arguments[0]) == pipeline_id],
            [e for e in emitted if _pipeline(e.body) == pipeline_id],
        )
    return found


def _is_event(item: Received) -> bool:
    return len(item.arguments) == 1 and isinstance(item.arguments[0], dict)


def _misplaced(item: Received) -> str:
    if item.name == DISCONNECT:
        return "disconnected: " + ", ".join(map(str, item.arguments))
    return f"{item.name} with {_short(item.arguments)} was received, which is no event with one JSON object"


def _pipeline(body: dict[str, Any]) -> object:
    return body.get("pipeline_id")


def _snapshots_first(events: Sequence[Received], pipelines: int) -> list[str]:
    first = events[:pipelines]
    if all(e.name == STATUS for e in first) and len({_pipeline(e.arguments[0]) for e in first}) == pipelines:
        return []
    return [f"the first {pipelines} events are not the snapshots of {pipelines} pipelines: " + _names(first)]


def _of_pipeline(received: Sequence[Emitted], emitted: Sequence[Emitted]) -> list[str]:
    got, wanted = Counter(map(_label, received)), Counter(map(_label, emitted))
    found = [f"missing: {_text(label)}" for label in (wanted - got).elements()]
    found += [f"{'repeated' if label in wanted else 'never emitted'}: {_text(label)}" for label in (got - wanted)]
    if found:
        return found
    found = [
        f"out of order: {_text(_label(r))} at place {place}, where {_text(_label(e))} was emitted"
        for place, (r, e) in enumerate(zip(received, emitted, strict=True), 1)
        if _label(r) != _label(e)
    ]
    if found:
        return found
    for place, (r, e) in enumerate(zip(received, emitted, strict=True)):
        found += _fields(r, e, ignore=_TIME_FIELDS if place == 0 else ())
    return found


def _fields(received: Emitted, emitted: Emitted, ignore: Iterable[str]) -> list[str]:
    absent = object()
    keys = dict.fromkeys([*emitted.body, *received.body])
    return [
        f"{_text(_label(emitted))}: {key} is {_short(r, absent)}, emitted was {_short(e, absent)}"
        for key in keys
        if key not in (_JOURNAL_FIELD, *ignore)
        and (r := received.body.get(key, absent)) != (e := emitted.body.get(key, absent))
    ]


def _label(event: Emitted) -> Label:
    return event.name, event.body.get("epoch"), event.body.get("seq")


def _text(label: Label) -> str:
    name, _, seq = label
    return f"{name} seq {seq}"


def _names(events: Sequence[Received]) -> str:
    runs = [(name, len(list(run))) for name, run in groupby(e.name for e in events)]
    return ", ".join(name if count == 1 else f"{name} ×{count}" for name, count in runs) or "none"


def _short(value: object, absent: object = None) -> str:
    if absent is not None and value is absent:
        return "absent"
    text = repr(value)
    return text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"
