"""What was asked and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Request:
    """One request: what it was, and how it went. ``bytes_in`` and ``bytes_out`` are of bodies, as they were sent."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case, without ``authorization``."""
    status: int = 0
    """0: the connection was ended before there was one."""
    bytes_in: int = 0
    bytes_out: int = 0
    fault: str | None = None


class RequestLog(list[Request]):
    """All requests, in the order they came."""

    def count(self, operation: str | None = None) -> int:  # type: ignore[override]
        """Return how many there were, of this operation if it is given."""
        return sum(operation in (None, request.operation) for request in list(self))

    def bytes_out(self, operation: str | None = None) -> int:
        """Return how many bytes of answers there were."""
        return sum(request.bytes_out for request in list(self) if operation in (None, request.operation))

    def operations(self) -> dict[str, int]:
        """Return how many there were of each operation."""
        counts: dict[str, int] = {}
        for request in list(self):
            counts[request.operation] = counts.get(request.operation, 0) + 1
        return counts
