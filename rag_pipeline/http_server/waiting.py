"""Which clients are waited for, and for how long: deadlines and a bound, with no socket in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitFor(StrEnum):
    """What a client is waited for to do."""

    BEGIN = "to begin a request"
    HEAD = "to send the rest of its headers"
    READ = "to take the rest of its answer"
    END = "to end the connection"


class WaitingClients(Generic[T]):
    """The clients that are waited for. One thread owns it.

    Each kind of wait has one length, so the order of arrival in a kind is the order of deadlines: nothing is sorted.
    """

    def __init__(self, seconds: Mapping[WaitFor, float], clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._deadlines: dict[WaitFor, dict[T, float]] = {kind: {} for kind in WaitFor}
        self._since: dict[T, WaitFor] = {}  # ordered by when the wait for the client began

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, client: T) -> bool:
        return client in self._since

    def wait(self, client: T, kind: WaitFor) -> None:
        """Wait for the client from now on; one that is waited for already keeps its age."""
        before = self._since.get(client)
        if before is not None:
            del self._deadlines[before][client]
        self._since[client] = kind
        self._deadlines[kind][client] = self._clock() + self._seconds[kind]

    def kind_of(self, client: T) -> WaitFor | None:
        """Return what the client is waited for to do, None if it is not waited for."""
        return self._since.get(client)

    def forget(self, client: T) -> None:
        """Wait no more; one that is unknown is fine."""
        kind = self._since.pop(client, None)
        if kind is not None:
            del self._deadlines[kind][client]

    def expired(self) -> list[tuple[T, WaitFor]]:
        """Return those whose time is over; they are waited for until they are forgotten."""
        now = self._clock()
        found: list[tuple[T, WaitFor]] = []
        for kind, deadlines in self._deadlines.items():
            for client, deadline in deadlines.items():
                if deadline > now:
                    break
                found.append((client, kind))
        return found

    def oldest(self, count: int) -> list[T]:
        """Return those that were waited for the longest, at most ``count`` of them."""
        return [client for client, _ in zip(self._since, range(count), strict=False)]

    def seconds_left(self, most: float) -> float:
        """Return the seconds until the next deadline, at most so many."""
        firsts = (next(iter(deadlines.values()), None) for deadlines in self._deadlines.values())
        now = self._clock()
        return max(0.0, min([most, *(first - now for first in firsts if first is not None)]))
