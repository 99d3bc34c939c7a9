"""A disk that stops answering."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.journal.sqlite.journal import SqliteJournal

HANG_SECONDS = 60.0


@contextmanager
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Yield an event; once it is set, every append to a journal blocks until the ``with`` block ends."""
    hangs, over = threading.Event(), threading.Event()
    append = SqliteJournal.append

    def hang(self: SqliteJournal, events: Sequence[PipelineEvent]) -> list[Entry]:
        if hangs.is_set():
            with self._write_lock:  # a hanging write holds it
                over.wait(HANG_SECONDS)
        return append(self, events)

    monkeypatch.setattr(SqliteJournal, "append", hang)
    try:
        yield hangs
    finally:
        over.set()
