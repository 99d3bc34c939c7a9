"""The newest events of the journal, in memory. Clients that were away for a while are sent them from here."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from rag_pipeline.common import native
from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import Entry, Generations
from rag_pipeline.journal.gap import GapBody, is_gap
from rag_pipeline.journal.weight import weigh

TAIL_EVENTS = 10_000
TAIL_BYTES = 64 << 20
MAX_PIPELINES = 10_000


class Tail:
    """The newest events in order, bounded by count and bytes; one thread appends, any may read.

    ``start`` is the position before the oldest event here. ``clock`` rises with each event, also with summaries:
    statuses that are not numbered, so have no position of their own.
    """

    def __init__(
        self, generations: Generations, *, newest: int = 0, limit: int = TAIL_EVENTS, limit_bytes: int = TAIL_BYTES
    ) -> None:
        self.generations = generations
        self.newest = newest
        self.start = newest
        self.clock = 0
        self.size_bytes = 0
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._entries: deque[tuple[Entry, int]] = deque()
        self._summaries: dict[str, tuple[int, Entry]] = {}  # by pipeline, unless something numbered came after it
        self._statuses: dict[tuple[str, str], int] = {}  # newest numbered one by pipeline and namespace
        self._lock = native.allocate_lock()  # protects the deque from reads while it changes

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def identity(self) -> str:
        """The identity that offsets are made with."""
        return self.generations.identity

    def number(self, event: PipelineEvent) -> Entry:
        """Number and append an event that has no position yet; a summary gets the newest position."""
        if not event.numbered:
            entry = Entry(self.newest, event)
            self.note_summary(entry)
            return entry
        if type(event.body) is GapBody:
            self._cut()
        entry = Entry(self.newest + 1, event)
        self.keep(entry)
        return entry

    def _cut(self) -> None:
        """Drop everything: events before a gap are incomplete, so no client can resume from them."""
        with self._lock:
            self._entries.clear()
            self.size_bytes = 0
            self.start = self.newest

    def keep(self, entry: Entry) -> None:
        """Append an entry newer than all others; over the limits, the oldest are dropped."""
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
        """Remove the newest entry, which can't be shown; its position is not reused."""
        with self._lock:
            if self._entries and self._entries[-1][0].position == self.newest:
                self.size_bytes -= self._entries.pop()[1]

    def note_summary(self, entry: Entry) -> None:
        """Keep a summary until a newer event of its pipeline comes."""
        self.newest = max(self.newest, entry.position)
        self.clock += 1
        pipeline_id = entry.event.pipeline_id or ""
        self._summaries.pop(pipeline_id, None)  # reinserted, to keep the order of the clock
        self._summaries[pipeline_id] = (self.clock, entry)
        if len(self._summaries) > MAX_PIPELINES:
            del self._summaries[next(iter(self._summaries))]

    def summaries(self, after_clock: int) -> list[tuple[int, Entry]]:
        """Return the summaries since, at most one for each pipeline; oldest first."""
        return [summary for summary in self._summaries.values() if summary[0] > after_clock]

    def preload(self, start: int, entries: list[Entry]) -> None:
        """Insert stored events before those here: all events after ``start``, in order."""
        weighed = [(entry, weigh(entry)) for entry in entries]
        for entry in entries:
            if entry.event.name == events.STATUS:
                self._note_status(entry.event, entry.position)
        with self._lock:
            self.start = start
            self._entries.extendleft(reversed(weighed))
            self.size_bytes += sum(weight for _, weight in weighed)

    def begin_generation(self, generations: Generations) -> None:
        """Continue the same journal in its next generation."""
        self.generations = generations

    def reset(self, generations: Generations, newest: int = 0) -> None:
        """Start over, empty, with another journal."""
        with self._lock:
            self.generations = generations
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
        """Return all entries, oldest first."""
        with self._lock:
            return [entry for entry, _ in self._entries]

    # -- superseded statuses -------------------------------------------------------------------------------------------

    def note_statuses(self, newest: Mapping[tuple[str, str], int]) -> None:
        """Note the positions of the newest stored statuses."""
        self._statuses.update(newest)

    def is_superseded(self, entry: Entry, namespace: str) -> bool:
        """Return whether the namespace has a later status of the pipeline, which says all that this one does.

        A gap is never superseded: it marks where events are missing.
        """
        event = entry.event
        if event.name != events.STATUS:
            return False
        newest = self._statuses.get((event.pipeline_id or "", namespace), 0)
        return entry.position < newest and not is_gap(event)

    def _note_status(self, event: PipelineEvent, position: int) -> None:
        for namespace in event.namespaces:
            key = event.pipeline_id or "", namespace
            self._statuses[key] = max(position, self._statuses.get(key, 0))
        if len(self._statuses) > 2 * MAX_PIPELINES:
            del self._statuses[next(iter(self._statuses))]
