"""The ``Accept`` header (RFC 9110, section 12.5.1): whether a client prefers an event stream or JSON."""

from __future__ import annotations

import re

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def prefers_stream(accept: str | None) -> bool:
    """Return whether the client prefers ``text/event-stream``; JSON is the default.

    If both have the same weight, the one named more exactly wins: ``text/event-stream, */*`` is a stream.
    """
    ranges = [found for element in (accept or "").lower().split(",") if (found := _media_range(element))]
    stream = _preference(ranges, EVENT_STREAM)
    return stream[0] > 0 and stream > _preference(ranges, JSON)


def _preference(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """Return the weight of the most exact range that matches the type, and how exact it is."""
    family = media_type.partition("/")[0]
    for exactness, pattern in ((2, media_type), (1, f"{family}/*"), (0, "*/*")):
        weights = [weight for name, weight in ranges if name == pattern]
        if weights:
            return max(weights), exactness
    return 0.0, 0


def _media_range(element: str) -> tuple[str, float] | None:
    """Return name and weight, None if the weight is invalid; other parameters are ignored."""
    name, *parameters = (part.strip() for part in element.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "q":
            return (name, float(value)) if _WEIGHT.fullmatch(value) else None
    return name, 1.0
