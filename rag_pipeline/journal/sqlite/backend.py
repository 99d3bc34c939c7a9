"""The journal in a SQLite file, with memory as the fallback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rag_pipeline.common.private_files import make_private_folder, warn_if_open
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.backend import HubHandle, health_fields
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery, Generations, LocalJournal, new_identity
from rag_pipeline.journal.fetcher import Fetcher, OnFetched
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.journal.tail import Tail
from rag_pipeline.journal.writer import JournalWriter
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import Sink

logger = logging.getLogger("rag_pipeline.journal")

JOURNAL_NAME = "journal.sqlite3"
PRELOAD_EVENTS = 128
"""The tail starts with this many events, which keeps the start cheap. Older ones are read when needed."""


def open_in_folder(folder: Path) -> SqliteJournal:
    """Open the journal in the state folder, made if it isn't there; raises JournalError."""
    try:
        make_private_folder(folder)
    except OSError as error:
        raise JournalError(f"the state folder {folder} can't be made ({error.strerror})") from None
    warn_if_open(folder)
    return SqliteJournal(folder / JOURNAL_NAME)


class SqliteBackend(MemoryBackend):
    """Stores each event before the hub gets it.

    A journal that can't be opened, or fails later, is given up: from then on events are kept in memory only, and
    ``degraded`` says why.
    """

    def __init__(self, open_journal: Callable[[], LocalJournal]) -> None:
        super().__init__()
        self.degraded: str | None = None
        self._opened: LocalJournal | None = None
        self._fetcher: Fetcher | None = None
        self._saved: dict[str, SavedState] = {}
        try:
            self._opened = open_journal()
            self._load(self._opened)
        except JournalError as error:
            self._close()
            self.degraded = str(error)
            logger.error("%s; events are kept in memory only", error)
        except Exception as error:
            self._close()
            self.degraded = f"the journal can't be opened ({type(error).__name__}: {error})"
            logger.exception("%s; events are kept in memory only", self.degraded)

    def _load(self, journal: LocalJournal) -> None:
        tail = Tail(journal.generations, newest=journal.newest)
        start = max(0, journal.newest - PRELOAD_EVENTS)
        if journal.reaches(start):
            tail.preload(start, journal.read(start, PRELOAD_EVENTS))
        tail.note_statuses(journal.newest_statuses())
        self._saved = dict(journal.saved_states())
        self.tail = tail

    def connect(self, hub: HubHandle) -> Sink:
        """Return the writer that pipelines publish to, or the hub's mailbox if the journal was given up."""
        mailbox = super().connect(hub)
        if self._opened is None:
            return mailbox
        self.writer = JournalWriter(
            self._opened, hub.mailbox.publish, on_failure=lambda reason: self._give_up(hub, reason),
            pipelines=hub.pipelines,
        )  # fmt: skip
        self._fetcher = Fetcher(self._opened, hub.call)
        return self.writer

    def _give_up(self, hub: HubHandle, reason: str) -> None:
        self.degraded = reason
        hub.begin_journal(Generations(new_identity()), 0, None)

    @property
    def journal(self) -> LocalJournal | None:
        """The journal, None once it was given up."""
        return self._opened if self.degraded is None else None

    def start(self) -> None:
        """Start the writer's thread."""
        if self.writer is not None:
            self.writer.start()

    def stop(self) -> None:
        """Write what is queued, and close the journal; idempotent."""
        if self.writer is not None and not self.writer.stop():
            logger.error("the last events were not written to the journal in time")
        if self._fetcher is not None:
            self._fetcher.stop()
        self._close()

    def _close(self) -> None:
        journal, self._opened = self._opened, None
        if journal is not None:
            journal.close()

    def restore(self, pipeline_id: str) -> SavedState | None:
        """Return the state that the pipeline resumes from; once, and not after the journal was given up."""
        return None if self.degraded is not None else self._saved.pop(pipeline_id, None)

    def reaches(self, position: int) -> bool:
        """Return whether the tail or the file has every event after the position."""
        if super().reaches(position):
            return True
        journal = self.journal
        return journal is not None and position < self.tail.start and journal.reaches(position)

    def fetch(self, position: int, namespace: str, done: OnFetched) -> None:
        """Read from the file on the fetcher's thread."""
        if self._fetcher is None or self.journal is None:
            super().fetch(position, namespace, done)
        else:
            self._fetcher.fetch(position, namespace, done)

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order, from the tail or the file."""
        journal = self.journal
        if journal is None or self.tail.reaches(after):
            return super().read(after, limit, namespace)
        return journal.read(after, limit, namespace)

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        journal = self.journal
        return super().files(query) if journal is None else journal.files(query)

    def has_all_files(self) -> bool:
        """Return whether the file has every file there was; False once it was given up."""
        journal = self.journal
        return journal is not None and journal.has_all_files() and not self.dropped

    @property
    def dropped(self) -> int:
        """The number of events dropped since the start because too many waited."""
        return super().dropped + (0 if self.writer is None else self.writer.dropped)

    def describe(self) -> dict[str, Any]:
        """Return the journal's part of ``/health``."""
        fields: Mapping[str, Any] = {"kind": "memory", "events": len(self.tail)}
        journal, error = self.journal, self.degraded
        try:
            if journal is not None and self.writer is not None:
                fields = {**journal.size(), "queued": self.writer.queued}
        except JournalError as failure:
            error = str(failure)
        return health_fields(fields, error, self.dropped)
