"""Pages of events read from the journal's store, for clients that resume from before the tail."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rag_pipeline.journal import Entry, Tail
from rag_pipeline.journal.fetcher import OnFetched
from rag_pipeline.journal.weight import weigh

PAGES_BYTES = 32 << 20
FAILED_SECONDS = 1.0

Fetch = Callable[[int, str, OnFetched], None]
"""``fetch(position, namespace, done)`` reads from the store on another thread. It calls ``done(entries, end)`` on the
hub's thread with the entries between the position and ``end``, or None if some of them are missing."""


@dataclass(slots=True, eq=False)
class Page:
    """The events of a namespace after ``start`` up to ``end``; ``failed_at`` is when reading them failed."""

    start: int
    end: int
    entries: list[Entry]
    size_bytes: int = 0
    failed_at: float | None = None

    def covers(self, position: int) -> bool:
        """Return whether the page holds the events that follow the position."""
        return self.start <= position < self.end

    def empty(self) -> None:
        """Drop the events; readers of the page have to ask again."""
        self.entries, self.end, self.size_bytes = [], self.start, 0


class Pages:
    """Cache of the last pages, up to 32 MiB; readers at the same position share one read of the store."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._pages: dict[tuple[str, int], Page] = {}
        self._size_bytes = 0
        self._pending: set[tuple[str, int]] = set()

    def find(self, namespace: str, position: int, tail: Tail) -> Page | None:
        """Return the page to read from at the position; None while the store reads it."""
        key = namespace, position
        page = self._find(key)
        if page is None and key not in self._pending:
            self._pending.add(key)
            self._fetch(position, namespace, lambda entries, end: self._take(key, entries, end, tail))
            page = self._find(key)  # if the store answered at once
        return page

    def _find(self, key: tuple[str, int]) -> Page | None:
        namespace, position = key
        page = self._pages.get(key)
        if page is not None and not page.covers(position):
            if page.failed_at is not None and time.monotonic() < page.failed_at + FAILED_SECONDS:
                return page
            self._drop(key)
            page = None
        if page is None:
            page = next((p for (ns, _), p in self._pages.items() if ns == namespace and p.covers(position)), None)
        return page

    def _take(self, key: tuple[str, int], entries: list[Entry] | None, end: int, tail: Tail) -> None:
        if key not in self._pending:
            return  # it was asked of the journal before
        self._pending.discard(key)
        # The store may be ahead of the hub: events that have not passed the hub yet are read from the tail.
        end = min(end, tail.newest)
        kept = [entry for entry in entries or () if entry.position <= end]
        failed_at = time.monotonic() if entries is None else None
        page = Page(key[1], key[1] if entries is None else end, kept, sum(map(weigh, kept)), failed_at)
        self._pages[key] = page
        self._size_bytes += page.size_bytes
        while self._size_bytes > PAGES_BYTES and len(self._pages) > 1:
            self._drop(next(iter(self._pages)))

    def clear(self) -> None:
        """Drop all pages, and ignore answers that are still to come."""
        for page in self._pages.values():
            page.empty()
        self._pages.clear()
        self._pending.clear()
        self._size_bytes = 0

    def _drop(self, key: tuple[str, int]) -> None:
        page = self._pages.pop(key)
        self._size_bytes -= page.size_bytes
        page.empty()
