"""The jobs of a plan, and those that one worker does together: its own, and those that it has taken beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline.sources.following.breaker import Breakers
from rag_pipeline.sources.following.source import FoundFile, Oddity
from rag_pipeline.sources.worker_pool import WorkerPool


class Hashed(NamedTuple):
    """What is known of a file's content once it was read: its fingerprint, and its size in bytes."""

    fingerprint: str
    size: int


class Read(NamedTuple):
    """Take a file through the stages. ``hashed`` is what is known of its content, if that was read already."""

    file: FoundFile
    hashed: Hashed | None = None


class Give(NamedTuple):
    """Give up on a file that is written to all the time."""

    file: FoundFile


class Note(NamedTuple):
    """Show something that can't be read as a file."""

    oddity: Oddity


class Forget(NamedTuple):
    """Take a file that is gone out of the store."""

    file_id: str


Job = Read | Give | Note | Forget


class Hand:
    """The jobs in one worker's hand, by key, in the order in which they were begun; belongs to that worker.

    The first one is the crew's own to end. All others are ended here, each once.
    """

    def __init__(self, crew: WorkerPool[Job], breakers: Breakers, key: str, job: Job) -> None:
        self.jobs: dict[str, Job] = {key: job}
        self.again = False  # whether to put back the first one
        self._first = key
        self._crew = crew
        self._breakers = breakers
        breakers.begin(key)

    def take(self, accepts: Callable[[Job], bool]) -> tuple[str, Job] | None:
        """Take the next job of the plan as well, if it is accepted and may be begun now."""
        taken = self._crew.take_more(accepts)
        if taken is not None:
            self._breakers.begin(taken[0])
            self.jobs[taken[0]] = taken[1]
        return taken

    def done(self, keys: Iterable[str], *, again: bool = False) -> None:
        """End jobs; ``again`` puts them behind all others."""
        for key in list(keys):
            if (job := self.jobs.pop(key, None)) is None:
                continue
            self._breakers.end(key)
            if key == self._first:
                self.again = again
            else:
                self._crew.release(key, job if again else None)

    def end(self, *, again: bool = False) -> None:
        """End all that are left."""
        self.done(self.jobs, again=again)
