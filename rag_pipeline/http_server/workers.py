"""A bounded pool of native threads, started on demand."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it stays native when the host program is monkey-patched.
from _queue import SimpleQueue
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from rag_pipeline.common import native
from rag_pipeline.http_server.cpu_budget import CpuBudget

MOST_COMPUTING = 2
"""Jobs that compute at once: each thread that computes makes the pipeline wait 5 ms, the switch interval."""
COMPUTES_SECONDS = 0.02
"""A job that takes longer is assumed to wait for something, so others may start beside it."""

T = TypeVar("T")

logger = logging.getLogger("rag_pipeline.http")


class RequestWorkers(Generic[T]):
    """Runs ``work`` on jobs, ``limit`` at a time. One thread owns it, and reports the end of each job.

    ``waiting`` holds the jobs for which no thread or CPU time is free yet, each with its arrival time.
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
        self._begun: dict[T, float] = {}  # start times, in order

    def add(self, job: T, now: float) -> None:
        """Queue a job."""
        self.waiting.append((job, now))
        self.start_jobs()

    def job_done(self, job: T, cpu_seconds: float = 0.0) -> None:
        """Free the job's thread, and charge its CPU time."""
        self._busy -= 1
        self._begun.pop(job, None)
        self._budget.spend(cpu_seconds)
        self.start_jobs()

    def thread_left(self, job: T) -> None:
        """Remove the job's thread from the pool: it stays with its job, and ends with it."""
        self._busy -= 1
        self._begun.pop(job, None)
        self._threads -= 1
        self.start_jobs()

    def end(self) -> None:
        """End each thread once it is idle."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def start_jobs(self) -> None:
        """Start the jobs that can start now."""
        now = monotonic()
        while self.waiting and self._may_start(now) and (self._busy < self._threads or self._start_thread()):
            job, _ = self.waiting.popleft()
            self._busy += 1
            self._begun[job] = now
            self._jobs.put(job)

    def _may_start(self, now: float) -> bool:
        for job, begun in list(self._begun.items()):
            if now - begun < COMPUTES_SECONDS:
                break
            del self._begun[job]  # it probably waits for something
        return len(self._begun) < MOST_COMPUTING and self._budget.has_left()

    def _start_thread(self) -> bool:
        if self._threads >= self._limit:
            return False
        try:
            native.start_thread(self._run, self._name)
        except RuntimeError as error:  # the system allows no more threads; the existing ones continue
            logger.warning("can't start another worker thread: %s", error)
            return False
        self._threads += 1
        return True

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._work(job) is LEAVES:
                return


LEAVES = object()
"""Returned by ``work`` on a thread that has left the pool."""
