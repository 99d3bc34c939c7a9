"""The end of the journal in memory: what is replayed to clients that were away for a while."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice

from rag_pipeline import native
from rag_pipeline.events import Event
from rag_pipeline.journal.base import Entry, Lineage

TAIL_EVENTS = 10_000


class Tail:
    """The last events in order, bounded; one thread appends, any may read.

    ``start`` is the position that every event in it comes after: what the tail reaches back to.
    """

    def __init__(self, lineage: Lineage, *, newest: int = 0, limit: int = TAIL_EVENTS) -> None:
        self.lineage = lineage
        self.newest = newest
        self.start = newest
        self._limit = limit
        self._entries: deque[Entry] = deque()
        self._lock = native.allocate_lock()  # protects the deque against being read while it changes

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def identity(self) -> str:
        """What offsets are made with."""
        return self.lineage.identity

    def number(self, event: Event) -> Entry:
        """Append an event that no store has numbered; one that sums up only gets the newest position."""
        if not event.numbered:
            return Entry(self.newest, event)
        entry = Entry(self.newest + 1, event)
        self.keep(entry)
        return entry

    def keep(self, entry: Entry) -> None:
        """Append an entry, newer than all before; the oldest goes when there are too many."""
        with self._lock:
            self._entries.append(entry)
            self.newest = entry.position
            if len(self._entries) > self._limit:
                self.start = self._entries.popleft().position

    def preload(self, start: int, entries: list[Entry]) -> None:
        """Begin with what a store has: its events after ``start``, in order, up to the newest."""
        with self._lock:
            self.start = start
            self._entries.extend(entries)

    def go_on(self, lineage: Lineage) -> None:
        """Go on with the same journal in its next generation."""
        self.lineage = lineage

    def begin(self, lineage: Lineage, newest: int = 0) -> None:
        """Start over, empty, with another journal."""
        with self._lock:
            self.lineage = lineage
            self.newest = self.start = newest
            self._entries.clear()

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still here."""
        return self.start <= position <= self.newest

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, of one namespace or of all."""
        with self._lock:
            first = bisect_right(self._entries, after, key=lambda entry: entry.position)
            rest = islice(self._entries, first, None)
            if namespace is not None:
                rest = (entry for entry in rest if namespace in entry.event.namespaces)  # type: ignore[assignment]
            return list(islice(rest, limit))

    def all(self) -> list[Entry]:
        """Return everything, the oldest first."""
        with self._lock:
            return list(self._entries)
