"""Reads from a journal's store for whoever must not wait: on a native thread, one read after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag_pipeline.common import native
from rag_pipeline.common.mailbox import LOOK_SECONDS, Mailbox
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, Journal
from rag_pipeline.journal.reading import read_within

logger = logging.getLogger("rag_pipeline.journal")

FETCH_EVENTS = 512
FETCH_BYTES = 2 << 20
STOP_SECONDS = 2.0

Done = Callable[[list[Entry] | None, int], None]


class Fetcher:
    """Calls back through ``post``, which runs a function on the thread of whoever asked."""

    def __init__(self, journal: Journal, post: Callable[[Callable[[], None]], None]) -> None:
        self._journal = journal
        self._post = post
        self._signal = native.AutoResetEvent()
        self._questions: Mailbox[tuple[int, str, Done]] = Mailbox(wake_up=self._signal)
        self._thread: native.NativeThread | None = None
        self._stopping = False

    def fetch(self, position: int, namespace: str, done: Done) -> None:
        """Read events of the namespace after the position: at most :data:`FETCH_EVENTS`, and about 2 MiB in memory.

        ``done(entries, end)`` gets those between the position and ``end``, or None for entries if some of them are not
        there any more, or can't be read.
        """
        if self._thread is None:
            self._thread = native.start_thread(self._run, "rag-pipeline-replay")
        self._questions.publish((position, namespace, done))

    def stop(self) -> None:
        """End the thread; what was asked for is not answered. Idempotent."""
        self._stopping = True
        self._signal.signal()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._signal.wait(LOOK_SECONDS)
            self._questions.rearm()
            while not self._stopping and (question := self._questions.take()) is not None:
                try:
                    self._answer(*question)
                except Exception:
                    logger.exception("the journal's reader failed")

    def _answer(self, position: int, namespace: str, done: Done) -> None:
        entries: list[Entry] | None = None
        end = position
        try:
            end = self._journal.newest
            entries, is_all = read_within(self._journal.read, position, FETCH_EVENTS, FETCH_BYTES, namespace)
            if not is_all:
                end = entries[-1].position
            # Asked after the reading: what was removed meanwhile is noticed.
            if not self._journal.reaches(position):
                entries = None
        except JournalError as error:
            entries = None
            logger.warning("a client can't be sent what it missed: %s", error)
        except Exception:
            entries = None
            logger.exception("a client can't be sent what it missed")
        self._post(lambda: done(entries, end))
