"""How long files take, and how long they stay in each stage: counted in buckets, as it happens.

A count costs the same however long the run. It is made where the change itself is, under the pipeline's lock, so that
what is shown fits the totals. Time is monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

BOUNDS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
MAX_STAGES = 20
OTHER = "other"


class Histogram(NamedTuple):
    """Durations by size: how many were at most as long as each of :data:`BOUNDS_SECONDS`, but longer than the one
    before; last, how many were longer than all of them.
    """

    counts: tuple[int, ...]
    sum_seconds: float


class Durations(NamedTuple):
    """What has been measured of one pipeline since its process began; the stage that was seen first stands first."""

    completed: Histogram
    failed: Histogram
    stages: tuple[tuple[str, Histogram], ...]


class Buckets:
    """One histogram as it grows."""

    __slots__ = ("counts", "sum_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def plus(self, seconds: float) -> Measured:
        """Return what :meth:`assign` takes to count a duration."""
        index = bisect_left(BOUNDS_SECONDS, seconds)
        return self, index, self.counts[index] + 1, self.sum_seconds + seconds

    def assign(self, index: int, count: int, sum_seconds: float) -> None:
        """Count a duration; to repeat it changes nothing."""
        self.counts[index] = count
        self.sum_seconds = sum_seconds

    def copy(self) -> Histogram:
        """Return the histogram as it stands."""
        return Histogram(tuple(self.counts), self.sum_seconds)


Measured = tuple[Buckets, int, int, float]
"""A duration that is yet to be counted."""


class StageTimes:
    """Measures each stay in a stage from its first report to the next stage's, or to the end of the file.

    The first :data:`MAX_STAGES` names are told apart, what comes later is :data:`OTHER`: a pipeline that makes its
    stages' names up as it goes must not grow.
    """

    def __init__(self) -> None:
        self._stages: dict[str, Buckets] = {}
        self._completed = Buckets()
        self._failed = Buckets()

    def stay(self, stage: str | None, seconds: float) -> Measured | None:
        """Return the stay of a file in a stage that it leaves; None if it was in none."""
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
        """Return a copy of what was measured."""
        stages = tuple((stage, buckets.copy()) for stage, buckets in self._stages.items())
        return Durations(self._completed.copy(), self._failed.copy(), stages)
