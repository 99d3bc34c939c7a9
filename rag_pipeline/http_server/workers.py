"""A bounded pool of native threads, started as they are needed."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it waits natively in a patched host program too.
from _queue import SimpleQueue
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from rag_pipeline.common import native
from rag_pipeline.http_server.cpu_budget import CpuBudget

MOST_COMPUTING = 2
"""Jobs that begin at once: each thread that computes makes the pipeline wait 5 ms, the switch interval."""
COMPUTES_SECONDS = 0.02
"""A job that takes longer is taken to wait for something, and others begin beside it."""

T = TypeVar("T")

logger = logging.getLogger("rag_pipeline.http")


class RequestWorkers(Generic[T]):
    """Runs ``work`` on jobs, ``limit`` at a time. One thread owns it, and gives each thread back when its job is done.

    ``waiting`` has the jobs that no thread was free for, or no CPU time was left for, each with the time that it was
    given at.
    """

    def __init__(self, work: Callable[[T], object], limit: int, name: str, budget: CpuBudget) -> None:
        self.waiting: deque[tuple[T, float]] = deque()
        self._work = work
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[T | None] = SimpleQueue()
        self._busy = 0
        self._threads = 0
        self._budget = budget
        self._begun: dict[T, float] = {}  # in the order of their times

    def give(self, job: T, now: float) -> None:
        """Have the job done by the next thread that is free."""
        self.waiting.append((job, now))
        self.hand_out()

    def free_one(self, job: T, cpu_seconds: float = 0.0) -> None:
        """The job is done, and took so much CPU time."""
        self._busy -= 1
        self._begun.pop(job, None)
        self._budget.spend(cpu_seconds)
        self.hand_out()

    def leave_one(self, job: T) -> None:
        """A thread leaves the pool: it is kept by its job, and ends with it."""
        self._busy -= 1
        self._begun.pop(job, None)
        self._threads -= 1
        self.hand_out()

    def end(self) -> None:
        """End the threads, each once it is idle."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def hand_out(self) -> None:
        """Begin the jobs that can begin now."""
        now = monotonic()
        while self.waiting and self._may_begin(now) and (self._busy < self._threads or self._start_thread()):
            job, _ = self.waiting.popleft()
            self._busy += 1
            self._begun[job] = now
            self._jobs.put(job)

    def _may_begin(self, now: float) -> bool:
        for job, begun in list(self._begun.items()):
            if now - begun < COMPUTES_SECONDS:
                break
            del self._begun[job]  # it waits for something, as a rule
        return len(self._begun) < MOST_COMPUTING and self._budget.has_left()

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
