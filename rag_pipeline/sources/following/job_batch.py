"""The jobs that one worker does together: its own, and further ones that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.jobs import Job
from rag_pipeline.sources.worker_pool import WorkerPool


class JobBatch:
    """The jobs that one worker holds, by key, in the order in which they started; used by that worker only.

    The pool itself ends the first job; ``put_back_first`` tells it how. The batch ends all others, each once.
    """

    def __init__(self, pool: WorkerPool[Job], breakers: CircuitBreakers, key: str, job: Job) -> None:
        self.jobs: dict[str, Job] = {key: job}
        self.put_back_first = False
        self._first = key
        self._pool = pool
        self._breakers = breakers
        breakers.begin(key)

    def take_next(self, accepts: Callable[[Job], bool]) -> tuple[str, Job] | None:
        """Take the next pending job too, if it is accepted and may start now."""
        taken = self._pool.take_next(accepts)
        if taken is not None:
            self._breakers.begin(taken[0])
            self.jobs[taken[0]] = taken[1]
        return taken

    def finish(self, keys: Iterable[str], *, put_back: bool = False) -> None:
        """End these jobs; ``put_back`` queues them behind all others."""
        for key in list(keys):
            if (job := self.jobs.pop(key, None)) is None:
                continue
            self._breakers.end(key)
            if key == self._first:
                self.put_back_first = put_back
            else:
                self._pool.release(key, job if put_back else None)

    def finish_all(self, *, put_back: bool = False) -> None:
        """End all jobs that are left."""
        self.finish(self.jobs, put_back=put_back)
