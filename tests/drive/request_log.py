"""The log of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class LoggedRequest:
    """A request and its outcome. ``bytes_in`` and ``bytes_out`` count the bodies as transferred."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case, without ``authorization``."""
    status: int = 0
    """0 if the connection ended before a status was sent."""
    bytes_in: int = 0
    bytes_out: int = 0
    fault: str | None = None


class RequestLog(list[LoggedRequest]):
    """All requests in the order of arrival."""

    def count(self, operation: str | None = None) -> int:  # type: ignore[override]
        """Return the number of requests, of one operation if given."""
        return sum(operation in (None, request.operation) for request in list(self))

    def bytes_out(self, operation: str | None = None) -> int:
        """Return the number of bytes of all response bodies."""
        return sum(request.bytes_out for request in list(self) if operation in (None, request.operation))

    def operations(self) -> dict[str, int]:
        """Return the number of requests by operation."""
        counts: dict[str, int] = {}
        for request in list(self):
            counts[request.operation] = counts.get(request.operation, 0) + 1
        return counts
