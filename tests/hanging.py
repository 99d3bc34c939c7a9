"""A disk that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry
from rag_pipeline.journal.sqlite.journal import SqliteJournal

PATIENCE_SECONDS = 60.0


@contextmanager
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Have every append to a journal wait, once the event is set, until the block ends."""
    hangs, over = threading.Event(), threading.Event()
    append = SqliteJournal.append

    def hang(self: SqliteJournal, events: Sequence[Event]) -> list[Entry]:
        if hangs.is_set():
            with self._write_lock:  # which a write that hangs holds
                over.wait(PATIENCE_SECONDS)
        return append(self, events)

    monkeypatch.setattr(SqliteJournal, "append", hang)
    try:
        yield hangs
    finally:
        over.set()
