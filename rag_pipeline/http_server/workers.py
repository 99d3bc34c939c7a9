"""A bounded pool of native threads, started as they are needed."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it waits natively in a patched host program too.
from _queue import SimpleQueue
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from rag_pipeline import native

T = TypeVar("T")

logger = logging.getLogger("rag_pipeline.http")


class WorkerPool(Generic[T]):
    """Runs ``work`` on jobs, ``limit`` at a time. One thread owns it, and gives each thread back when its job is done.

    ``waiting`` has the jobs that no thread was free for, each with the time that it was given at.
    """

    def __init__(self, work: Callable[[T], object], limit: int, name: str) -> None:
        self.waiting: deque[tuple[T, float]] = deque()
        self._work = work
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[T | None] = SimpleQueue()
        self._busy = 0
        self._threads = 0

    def give(self, job: T, now: float) -> None:
        """Have the job done by the next thread that is free."""
        self.waiting.append((job, now))
        self._hand_out()

    def free_one(self) -> None:
        """A job is done."""
        self._busy -= 1
        self._hand_out()

    def leave_one(self) -> None:
        """A thread leaves the pool: it is kept by its job, and ends with it."""
        self._busy -= 1
        self._threads -= 1
        self._hand_out()

    def end(self) -> None:
        """End the threads, each once it is idle."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _hand_out(self) -> None:
        while self.waiting and (self._busy < self._threads or self._start_thread()):
            job, _ = self.waiting.popleft()
            self._busy += 1
            self._jobs.put(job)

    def _start_thread(self) -> bool:
        if self._threads >= self._limit:
            return False
        try:
            native.start_thread(self._run, self._name)
        except RuntimeError as error:  # the system gives no more threads: those there are go on
            logger.warning("no further thread can be started: %s", error)
            return False
        self._threads += 1
        return True

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._work(job) is LEAVES:
                return


LEAVES = object()
"""What ``work`` returns on a thread that has left the pool."""
