"""The end of the journal in memory: what is replayed to clients that were away for a while."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from rag_pipeline.common import native
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.journal.base import Entry, Lineage
from rag_pipeline.journal.gap import GapBody, is_gap
from rag_pipeline.journal.weight import weigh

TAIL_EVENTS = 10_000
TAIL_BYTES = 64 << 20
MAX_PIPELINES = 10_000


class Tail:
    """The last events in order, bounded by count and bytes; one thread appends, any may read.

    ``start`` is the position that every event in it comes after: what the tail reaches back to. ``clock`` rises with
    each event, also with those that only sum up and have no position of their own.
    """

    def __init__(
        self, lineage: Lineage, *, newest: int = 0, limit: int = TAIL_EVENTS, limit_bytes: int = TAIL_BYTES
    ) -> None:
        self.lineage = lineage
        self.newest = newest
        self.start = newest
        self.clock = 0
        self.size_bytes = 0
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._entries: deque[tuple[Entry, int]] = deque()
        self._summaries: dict[str, tuple[int, Entry]] = {}  # by pipeline, if nothing numbered came after it
        self._statuses: dict[tuple[str, str], int] = {}  # by pipeline and namespace, the newest that is numbered
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
            entry = Entry(self.newest, event)
            self.sum_up(entry)
            return entry
        if type(event.body) is GapBody:
            self._cut()
        entry = Entry(self.newest + 1, event)
        self.keep(entry)
        return entry

    def _cut(self) -> None:
        """Reach back to here alone: nobody can be sent all that came before."""
        with self._lock:
            self._entries.clear()
            self.size_bytes = 0
            self.start = self.newest

    def keep(self, entry: Entry) -> None:
        """Append an entry, newer than all before; the oldest go when there are too many, or too large ones."""
        event, weight = entry.event, weigh(entry)
        if event.name == events.STATUS:
            self._note_status(event, entry.position)
        with self._lock:
            self._entries.append((entry, weight))
            self.size_bytes += weight
            self.newest = entry.position
            while len(self._entries) > self._limit or (self.size_bytes > self._limit_bytes and len(self._entries) > 1):
                oldest, freed = self._entries.popleft()
                self.size_bytes -= freed
                self.start = oldest.position
        self.clock += 1
        if self._summaries:
            self._summaries.pop(event.pipeline_id or "", None)

    def leave_out_last(self) -> None:
        """Take the newest entry out again: it can't be shown. Its position is not given to another."""
        with self._lock:
            if self._entries and self._entries[-1][0].position == self.newest:
                self.size_bytes -= self._entries.pop()[1]

    def sum_up(self, entry: Entry) -> None:
        """Note a status that has no position of its own, until its pipeline says something newer."""
        self.newest = max(self.newest, entry.position)
        self.clock += 1
        pipeline_id = entry.event.pipeline_id or ""
        self._summaries.pop(pipeline_id, None)  # so that the order is that of the clock
        self._summaries[pipeline_id] = (self.clock, entry)
        if len(self._summaries) > MAX_PIPELINES:
            del self._summaries[next(iter(self._summaries))]

    def summaries(self, after_clock: int) -> list[tuple[int, Entry]]:
        """Return the statuses that summed up since, each the last word of its pipeline so far; oldest first."""
        return [found for found in self._summaries.values() if found[0] > after_clock]

    def preload(self, start: int, entries: list[Entry]) -> None:
        """Put events of a store ahead of what is here: its events after ``start``, in order."""
        weighed = [(entry, weigh(entry)) for entry in entries]
        for entry in entries:
            if entry.event.name == events.STATUS:
                self._note_status(entry.event, entry.position)
        with self._lock:
            self.start = start
            self._entries.extendleft(reversed(weighed))
            self.size_bytes += sum(weight for _, weight in weighed)

    @property
    def room(self) -> tuple[int, int]:
        """How many events, and how many bytes of them, still fit."""
        return self._limit - len(self._entries), self._limit_bytes - self.size_bytes

    def go_on(self, lineage: Lineage) -> None:
        """Go on with the same journal in its next generation."""
        self.lineage = lineage

    def begin(self, lineage: Lineage, newest: int = 0) -> None:
        """Start over, empty, with another journal."""
        with self._lock:
            self.lineage = lineage
            self.newest = self.start = newest
            self.size_bytes = 0
            self._entries.clear()
        self._summaries.clear()
        self._statuses.clear()

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still here."""
        return self.start <= position <= self.newest

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, of one namespace or of all."""
        with self._lock:
            first = bisect_right(self._entries, after, key=lambda kept: kept[0].position)
            rest: Iterable[Entry] = (entry for entry, _ in islice(self._entries, first, None))
            if namespace is not None:
                rest = (entry for entry in rest if namespace in entry.event.namespaces)
            return list(islice(rest, limit))

    def all(self) -> list[Entry]:
        """Return everything, the oldest first."""
        with self._lock:
            return [entry for entry, _ in self._entries]

    # -- statuses that newer ones have made obsolete -------------------------------------------------------------------

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        """Return the position of the newest status of each pipeline in each namespace, as far as it is known."""
        return dict(self._statuses)

    def note_statuses(self, newest: Mapping[tuple[str, str], int]) -> None:
        """Note the position of the newest status of each pipeline and namespace in the store."""
        self._statuses.update(newest)

    def is_superseded(self, entry: Entry, namespace: str) -> bool:
        """Return whether a later status of its pipeline says all that this one says, in the namespace too.

        One that stands for a gap is never superseded: it says that events are missing here.
        """
        event = entry.event
        if event.name != events.STATUS:
            return False
        newest = self._statuses.get((event.pipeline_id or "", namespace), 0)
        return entry.position < newest and not is_gap(event)

    def _note_status(self, event: Event, position: int) -> None:
        for namespace in event.namespaces:
            key = event.pipeline_id or "", namespace
            self._statuses[key] = max(position, self._statuses.get(key, 0))
        if len(self._statuses) > 2 * MAX_PIPELINES:
            del self._statuses[next(iter(self._statuses))]
