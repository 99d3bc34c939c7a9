"""Histograms of the durations of files and of their stages.

Counting takes constant time. It happens under the pipeline's lock with the mutation itself, so the histograms agree
with the totals. Time is monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

BOUNDS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
MAX_STAGES = 20
OTHER = "other"


class Histogram(NamedTuple):
    """Counts of durations by bucket: up to each of :data:`BOUNDS_SECONDS`, and one bucket for longer ones."""

    counts: tuple[int, ...]
    sum_seconds: float


class Durations(NamedTuple):
    """The histograms of one pipeline since its process began; stages in the order of their first use."""

    completed: Histogram
    failed: Histogram
    stages: tuple[tuple[str, Histogram], ...]


class Buckets:
    """A histogram that grows."""

    __slots__ = ("counts", "sum_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def plus(self, seconds: float) -> Measured:
        """Return the arguments of :meth:`assign` that count a duration."""
        index = bisect_left(BOUNDS_SECONDS, seconds)
        return self, index, self.counts[index] + 1, self.sum_seconds + seconds

    def assign(self, index: int, count: int, sum_seconds: float) -> None:
        """Count a duration; repeating the call changes nothing."""
        self.counts[index] = count
        self.sum_seconds = sum_seconds

    def copy(self) -> Histogram:
        """Return an immutable copy."""
        return Histogram(tuple(self.counts), self.sum_seconds)


Measured = tuple[Buckets, int, int, float]
"""A duration to be counted: buckets, and the arguments of their :meth:`Buckets.assign`."""


class StageTimes:
    """Measures each stage of a file, from its first report to that of the next stage or to the file's end.

    The first :data:`MAX_STAGES` names have histograms of their own, later ones share :data:`OTHER`. So memory stays
    bounded if a pipeline keeps inventing stage names.
    """

    def __init__(self) -> None:
        self._stages: dict[str, Buckets] = {}
        self._completed = Buckets()
        self._failed = Buckets()

    def stay(self, stage: str | None, seconds: float) -> Measured | None:
        """Return the time that a file spent in the stage it leaves; None if it was in none."""
        if stage is None:
            return None
        buckets = self._stages.get(stage)
        if buckets is None:
            name = stage if len(self._stages) < MAX_STAGES else OTHER
            buckets = self._stages.setdefault(name, Buckets())
        return buckets.plus(seconds)

    def end(self, seconds: float, *, failed: bool) -> Measured:
        """Return the time that a completed or failed file took from its start."""
        return (self._failed if failed else self._completed).plus(seconds)

    def durations(self) -> Durations:
        """Return an immutable copy of the histograms."""
        stages = tuple((stage, buckets.copy()) for stage, buckets in self._stages.items())
        return Durations(self._completed.copy(), self._failed.copy(), stages)
