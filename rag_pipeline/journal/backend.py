"""What keeps a service's events: the tail in memory, and a store behind it where there is one.

Without a store the hub numbers the events itself. With one they pass a :class:`Writer` first, and the tail begins with
what the store has. A store that can't be opened, or fails later, is given up: the service goes on in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, Lineage, Store, new_identity
from rag_pipeline.journal.fetcher import Done, Fetcher
from rag_pipeline.journal.history import files_of
from rag_pipeline.journal.tail import Tail
from rag_pipeline.journal.writer import Writer
from rag_pipeline.status import FlushRequest, SavedState, Sink, SnapshotFor, StatusCore

logger = logging.getLogger("rag_pipeline.journal")

PRELOAD_EVENTS = 128
"""How many events the tail begins with, so that a start is cheap. Older ones are read from the store when asked for."""

BeginJournal = Callable[[Lineage, int, tuple[Entry, ...] | None], None]
Passed = Event | Entry | FlushRequest | SnapshotFor


class Keeper:
    """Opens the store, and stands between the pipelines and the hub; see :meth:`connect`.

    ``shared`` says whether other processes publish to the same journal.
    """

    shared = False

    def __init__(self, open_store: Callable[[], Store] | None = None) -> None:
        self._store: Store | None = None
        self._writer: Writer[FlushRequest | SnapshotFor] | None = None
        self._fetcher: Fetcher | None = None
        self._saved: Mapping[str, SavedState] = {}
        self._dropped: Callable[[], int] = int
        self.degraded: str | None = None
        self.tail = Tail(Lineage(new_identity()))
        if open_store is None:
            return
        try:
            self._store = open_store()
            self._begin_with(self._store)
        except JournalError as error:
            self._close_store()
            self.degraded = str(error)
            logger.error("%s; events are kept in memory only", error)
        except Exception as error:
            self._close_store()
            self.degraded = f"the journal can't be opened ({type(error).__name__}: {error})"
            logger.exception("%s; events are kept in memory only", self.degraded)

    def _begin_with(self, store: Store) -> None:
        tail = Tail(store.lineage, newest=store.newest)
        start = max(0, store.newest - PRELOAD_EVENTS)
        if store.reaches(start):
            tail.preload(start, store.read(start, PRELOAD_EVENTS))
        tail.note_statuses(store.newest_statuses())
        self._saved = store.saved()
        self.tail = tail

    def connect(
        self,
        deliver: Callable[[Passed], None],
        post: Callable[[Callable[[], None]], None],
        *,
        begin_journal: BeginJournal,
        dropped: Callable[[], int],
        mark_stalled: Callable[[Iterable[str]], None],  # noqa: ARG002 - other processes are not seen here
        pipelines: Callable[[], Iterable[StatusCore]],
    ) -> Sink | None:
        """Set up the way to the hub; return where pipelines are to publish, None if that is the hub itself.

        ``deliver`` hands an item to the hub, ``post`` work for its thread. ``begin_journal`` tells it to number events
        itself, in a journal of its own; ``dropped`` returns how many events were dropped on the way to it.
        """
        self._dropped = dropped
        if self._store is None:
            return None

        def failed() -> None:
            assert self._writer is not None
            self.degraded = self._writer.failure
            begin_journal(Lineage(new_identity()), 0, None)

        self._writer = Writer(self._store, deliver, failed=failed, pipelines=pipelines)
        self._fetcher = Fetcher(self._store, post)
        return self._writer

    @property
    def stored(self) -> Store | None:
        """The store while it works."""
        return self._store if self.degraded is None else None

    def fetch(self, position: int, namespace: str, done: Done) -> None:
        """See :meth:`Fetcher.fetch`."""
        if self._fetcher is None or self.stored is None:
            done(None, position)
        else:
            self._fetcher.fetch(position, namespace, done)

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position can be had, from the tail or the store."""
        if self.tail.reaches(position):
            return True
        store = self.stored
        return store is not None and position < self.tail.start and store.reaches(position)

    def restore(self, pipeline_id: str) -> SavedState | None:
        """Return what a pipeline goes on from, as of the start; once, so that its next instance does not go back."""
        if self.degraded is not None:
            return None
        found = dict(self._saved)
        saved = found.pop(pipeline_id, None)
        self._saved = found
        return saved

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order; from any thread, which may wait for the store."""
        store = self.stored
        if store is None or self.tail.reaches(after):
            return self.tail.read(after, limit, namespace)
        return store.read(after, limit, namespace)

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        store = self.stored
        return files_of(self.tail.all(), query) if store is None else store.files(query)

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file there was: in memory the tail does not reach back for ever."""
        store = self.stored
        if store is None:
            return self.degraded is None and self.tail.start == 0 and not self.dropped
        return store.is_whole() and not self.dropped

    def claim(self, pipeline_ids: Collection[str]) -> frozenset[str]:  # noqa: ARG002 - the store is this process's
        """Return the ids that other processes have: none."""
        return frozenset()

    def wait_for_claims(self, pipeline_ids: Collection[str]) -> None:
        """Return at once: no other process has an id."""

    def describe(self) -> dict[str, Any]:
        """Return what ``/health`` says of the journal."""
        store = self.stored
        size: Mapping[str, Any] = {"kind": "memory", "events": len(self.tail)}
        error = self.degraded
        try:
            if store is not None and self._writer is not None:
                size = {**store.size(), "queued": self._writer.queued}
        except JournalError as failure:
            error = str(failure)
        told = {"status": "ok" if error is None else "degraded", **size}
        return with_drops(told if error is None else {**told, "error": error}, self.dropped)

    @property
    def dropped(self) -> int:
        """How many events were dropped since the start, since too many waited."""
        return self._dropped() + (0 if self._writer is None else self._writer.dropped)

    def start(self) -> None:
        """Begin to write."""
        if self._writer is not None:
            self._writer.start()

    def stop(self) -> None:
        """Write what is queued, and close the store; idempotent."""
        if self._writer is not None and not self._writer.stop():
            logger.error("the journal did not take the last events in time")
        if self._fetcher is not None:
            self._fetcher.stop()
        self._close_store()

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()


def with_drops(told: dict[str, Any], dropped: int) -> dict[str, Any]:
    """Return what ``/health`` says of a journal, degraded if events were dropped."""
    if not dropped:
        return told
    reason = f"{dropped} events were dropped, since too many waited: /files is not complete"
    error = told.get("error")
    count = dropped + int(told.get("dropped", 0))
    return {**told, "status": "degraded", "dropped": count, "error": reason if error is None else f"{error}; {reason}"}
