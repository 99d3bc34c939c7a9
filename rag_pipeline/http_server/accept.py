"""The ``Accept`` header (RFC 9110, section 12.5.1): which of two forms of an answer a client would rather have."""

from __future__ import annotations

import re

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def prefers_stream(accept: str | None) -> bool:
    """Return whether the client would rather have ``text/event-stream`` than JSON, which is for all who don't say.

    Of two that are wanted as much, the one that is named more exactly counts: ``text/event-stream, */*`` is a stream.
    """
    ranges = [found for element in (accept or "").lower().split(",") if (found := _media_range(element))]
    stream = _wish(ranges, EVENT_STREAM)
    return stream[0] > 0 and stream > _wish(ranges, JSON)


def _wish(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """Return how much the type is wanted, and how exactly it is named: the most exact range decides."""
    family = media_type.partition("/")[0]
    for exactness, pattern in ((2, media_type), (1, f"{family}/*"), (0, "*/*")):
        weights = [weight for name, weight in ranges if name == pattern]
        if weights:
            return max(weights), exactness
    return 0.0, 0


def _media_range(element: str) -> tuple[str, float] | None:
    """Return name and weight, None for what can't be read; parameters other than the weight are passed over."""
    name, *parameters = (part.strip() for part in element.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key == "q":
            return (name, float(value)) if _WEIGHT.fullmatch(value) else None
    return name, 1.0
