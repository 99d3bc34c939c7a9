"""Deadlines of the clients that the server waits for, independent of sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitFor(StrEnum):
    """Action of a client that the server waits for."""

    BEGIN = "to begin a request"
    HEAD = "to send the rest of its headers"
    READ = "to read the rest of its response"
    END = "to end the connection"


class WaitingClients(Generic[T]):
    """The clients that the server waits for. One thread owns it.

    Each kind of wait has a fixed length, so the order of arrival is the order of deadlines: nothing needs sorting.
    """

    def __init__(self, seconds: Mapping[WaitFor, float], clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._deadlines: dict[WaitFor, dict[T, float]] = {kind: {} for kind in WaitFor}
        self._since: dict[T, WaitFor] = {}  # in the order in which the waits began

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, client: T) -> bool:
        return client in self._since

    def wait(self, client: T, kind: WaitFor) -> None:
        """Wait for the client from now on; if it is waiting already, it keeps its place in :meth:`oldest`."""
        before = self._since.get(client)
        if before is not None:
            del self._deadlines[before][client]
        self._since[client] = kind
        self._deadlines[kind][client] = self._clock() + self._seconds[kind]

    def kind_of(self, client: T) -> WaitFor | None:
        """Return what the server waits for; None if it does not wait for this client."""
        return self._since.get(client)

    def forget(self, client: T) -> None:
        """Stop waiting for the client; unknown ones are fine."""
        kind = self._since.pop(client, None)
        if kind is not None:
            del self._deadlines[kind][client]

    def expired(self) -> list[tuple[T, WaitFor]]:
        """Return the clients whose deadline has passed; they stay until they are forgotten."""
        now = self._clock()
        found: list[tuple[T, WaitFor]] = []
        for kind, deadlines in self._deadlines.items():
            for client, deadline in deadlines.items():
                if deadline > now:
                    break
                found.append((client, kind))
        return found

    def oldest(self, count: int) -> list[T]:
        """Return at most ``count`` clients, longest waits first."""
        return [client for client, _ in zip(self._since, range(count), strict=False)]

    def seconds_left(self, most: float) -> float:
        """Return the seconds until the next deadline, at most ``most``."""
        firsts = (next(iter(deadlines.values()), None) for deadlines in self._deadlines.values())
        now = self._clock()
        return max(0.0, min([most, *(first - now for first in firsts if first is not None)]))
