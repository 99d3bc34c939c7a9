"""Reads from the journal's storage for callers that must not wait, one read at a time on a native thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag_pipeline.common import native
from rag_pipeline.common.mailbox import MAX_WAIT_SECONDS, Mailbox
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, JournalReader
from rag_pipeline.journal.bounded_read import read_bounded

logger = logging.getLogger("rag_pipeline.journal")

FETCH_EVENTS = 512
FETCH_BYTES = 2 << 20
STOP_SECONDS = 2.0

OnFetched = Callable[[list[Entry] | None, int], None]


class Fetcher:
    """Reads on its own thread; results come through ``call``, which runs a function on the caller's thread."""

    def __init__(self, journal: JournalReader, call: Callable[[Callable[[], None]], None]) -> None:
        self._journal = journal
        self._call = call
        self._signal = native.AutoResetEvent()
        self._requests: Mailbox[tuple[int, str, OnFetched]] = Mailbox(wake_up=self._signal)
        self._thread: native.NativeThread | None = None
        self._stopping = False

    def fetch(self, position: int, namespace: str, done: OnFetched) -> None:
        """Read events of the namespace after the position: at most :data:`FETCH_EVENTS`, and about 2 MiB in memory.

        ``done(entries, end)`` gets the events between the position and ``end``; entries is None if some of them are
        gone or can't be read.
        """
        if self._thread is None:
            self._thread = native.start_thread(self._run, "rag-pipeline-replay")
        self._requests.publish((position, namespace, done))

    def stop(self) -> None:
        """End the thread; open requests get no result. Idempotent."""
        self._stopping = True
        self._signal.signal()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._signal.wait(MAX_WAIT_SECONDS)
            self._requests.rearm()
            while not self._stopping and (request := self._requests.take()) is not None:
                try:
                    self._read(*request)
                except Exception:
                    logger.exception("the journal's fetcher failed")

    def _read(self, position: int, namespace: str, done: OnFetched) -> None:
        entries: list[Entry] | None = None
        end = position
        try:
            end = self._journal.newest
            entries, is_all = read_bounded(self._journal.read, position, FETCH_EVENTS, FETCH_BYTES, namespace)
            if not is_all:
                end = entries[-1].position
            # Checked after the read, to notice what was removed meanwhile.
            if not self._journal.reaches(position):
                entries = None
        except JournalError as error:
            entries = None
            logger.warning("a client can't be sent the events it missed: %s", error)
        except Exception:
            entries = None
            logger.exception("a client can't be sent the events it missed")
        self._call(lambda: done(entries, end))
