"""How long files take, and how long they stay in each stage: counted in buckets, as it happens.

A count costs the same however long the run. It is made where the change itself is, under the pipeline's lock, so that
what is shown fits the totals. Time is monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from rag_pipeline.status.files import Key

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


class _Buckets:
    __slots__ = ("counts", "sum_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum_seconds += seconds

    def copy(self) -> Histogram:
        return Histogram(tuple(self.counts), self.sum_seconds)


class StageTimes:
    """Measures each stay in a stage from its first report to the next stage's, or to the end of the file.

    The first :data:`MAX_STAGES` names are told apart, what comes later is :data:`OTHER`: a pipeline that makes its
    stages' names up as it goes must not grow.
    """

    def __init__(self) -> None:
        self._entered: dict[Key, float] = {}
        self._stages: dict[str, _Buckets] = {}
        self._completed = _Buckets()
        self._failed = _Buckets()

    def enter(self, key: Key, former: str | None, now: float) -> None:
        """The file has left its ``former`` stage for another; None if it had none, as at the start of an attempt."""
        began = self._entered.get(key)
        self._entered[key] = now
        if began is not None and former is not None:
            self._count(former, now - began)

    def leave(self, key: Key, stage: str | None, now: float) -> None:
        """The file has come to its end, in this stage."""
        began = self._entered.pop(key, None)
        if began is not None and stage is not None:
            self._count(stage, now - began)

    def done(self, seconds: float, *, failed: bool) -> None:
        """A file was completed, or has failed, so long after its start."""
        (self._failed if failed else self._completed).add(seconds)

    def durations(self) -> Durations:
        """Return a copy of what was measured."""
        stages = tuple((stage, buckets.copy()) for stage, buckets in self._stages.items())
        return Durations(self._completed.copy(), self._failed.copy(), stages)

    def _count(self, stage: str, seconds: float) -> None:
        buckets = self._stages.get(stage)
        if buckets is None:
            name = stage if len(self._stages) < MAX_STAGES else OTHER
            buckets = self._stages.setdefault(name, _Buckets())
        buckets.add(seconds)
