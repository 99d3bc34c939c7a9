"""What keeps a service's events: the tail in memory, and a store behind it where there is one.

Without a store the hub numbers the events itself. With one they pass a :class:`Writer` first, and the tail begins with
what the store has. A store that can't be opened, or fails later, is given up: the service goes on in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from rag_pipeline.errors import JournalError
from rag_pipeline.events import Event
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, Journal, Lineage, new_identity
from rag_pipeline.journal.fetcher import Done, Fetcher
from rag_pipeline.journal.history import files_of
from rag_pipeline.journal.tail import TAIL_EVENTS, Tail
from rag_pipeline.journal.writer import Writer
from rag_pipeline.status import Directed, FlushRequest, PipelineStatus, SavedState, Sink

logger = logging.getLogger("rag_pipeline.journal")

BeginJournal = Callable[[Lineage, int, tuple[Entry, ...] | None], None]
Passed = Event | Entry | FlushRequest | Directed


class Keeper:
    """Opens the store, and stands between the pipelines and the hub; see :meth:`connect`.

    ``shared`` says whether other processes publish to the same journal.
    """

    shared = False

    def __init__(self, open_store: Callable[[], Journal] | None = None) -> None:
        self._store: Journal | None = None
        self._writer: Writer[FlushRequest | Directed] | None = None
        self._fetcher: Fetcher | None = None
        self._saved: Mapping[str, SavedState] = {}
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

    def _begin_with(self, store: Journal) -> None:
        tail = Tail(store.lineage, newest=store.newest)
        start = max(0, store.newest - TAIL_EVENTS)
        if store.reaches(start):
            tail.preload(start, store.read(start, TAIL_EVENTS))
        self._saved = store.saved()
        self.tail = tail

    def connect(
        self,
        deliver: Callable[[Passed], None],
        post: Callable[[Callable[[], None]], None],
        *,
        begin_journal: BeginJournal,
        overflowed: Callable[[], None],
        mark_stalled: Callable[[Iterable[str]], None],  # noqa: ARG002 - other processes are not seen here
        pipelines: Callable[[], Iterable[PipelineStatus]],
    ) -> Sink | None:
        """Set up the way to the hub; return where pipelines are to publish, None if that is the hub itself.

        ``deliver`` hands an item to the hub, ``post`` work for its thread. ``begin_journal`` tells it to number events
        itself, in a journal of its own; ``overflowed``, that events were dropped.
        """
        if self._store is None:
            return None

        def failed() -> None:
            assert self._writer is not None
            self.degraded = self._writer.failure
            begin_journal(Lineage(new_identity()), 0, None)

        self._writer = Writer(self._store, deliver, failed=failed, overflowed=overflowed, pipelines=pipelines)
        self._fetcher = Fetcher(self._store, post)
        return self._writer

    @property
    def stored(self) -> Journal | None:
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
        return told if error is None else {**told, "error": error}

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
