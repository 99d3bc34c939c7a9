"""Decides whether the pipelines' work is done, and counts its outcomes; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from rag_pipeline.contract.events import Json

BUSY = frozenset({"initializing", "scanning", "running", "processing", "paused", "stalled"})
"""The statuses of a pipeline that has work to do."""
ERROR = "error"
IDLE_SECONDS = 1.0
"""Seconds for which all pipelines must be idle: between two files there may be a moment with none in flight."""


class OutcomeCounts(NamedTuple):
    """Numbers of files by outcome."""

    processed: int = 0
    failed: int = 0
    skipped: int = 0
    deleted: int = 0
    with_warnings: int = 0


def is_busy(state: Json) -> bool:
    """Return whether the pipeline has files in flight or queued, or checks its source."""
    return bool(
        state["status"] in BUSY or state["is_checking"] or state["files_in_flight"] or (state["files_queued"] or 0)
    )


def counts_of(state: Json) -> OutcomeCounts:
    """Return the totals of a state."""
    return OutcomeCounts(*(state.get(f"total_{name}", 0) for name in OutcomeCounts._fields))


def _is_lower(counts: OutcomeCounts, before: OutcomeCounts) -> bool:
    return any(new < old for new, old in zip(counts[:4], before[:4], strict=True))


class _PipelineWork(NamedTuple):
    """One pipeline's counts.

    baseline: the totals when watching began, or zero after a restart without a journal.
    former: what was done in earlier epochs.
    last: the totals in the last frame.
    done: what was done since watching began.
    """

    epoch: str
    baseline: OutcomeCounts
    former: OutcomeCounts
    last: OutcomeCounts
    done: OutcomeCounts


class WorkTracker:
    """Counts what was done since ``started_at``, in wall-clock seconds.

    A file that failed between that moment and the first update counts too, if it is among the last failed ones. So a
    watcher that starts together with its service misses no failure.
    """

    def __init__(self, started_at: float) -> None:
        self.in_error: list[str] = []  # ids of the pipelines whose last status is error
        self._started_at = started_at
        self._pipelines: dict[str, _PipelineWork] = {}
        self._idle_since: float | None = None

    @property
    def done(self) -> OutcomeCounts:
        """Numbers of files by their newest outcome."""
        if not self._pipelines:
            return OutcomeCounts()
        return OutcomeCounts(*map(sum, zip(*(pipeline.done for pipeline in self._pipelines.values()), strict=True)))

    def update(self, states: Mapping[str, Json], now: float) -> None:
        """Take in the current states; ``now`` is monotonic seconds."""
        for pipeline_id, state in states.items():
            self._count(pipeline_id, state)
        self.in_error = [pipeline_id for pipeline_id, state in states.items() if state["status"] == ERROR]
        if not states or any(map(is_busy, states.values())):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now

    def interrupt(self) -> None:
        """Restart the idle time: the current states are unknown."""
        self._idle_since = None

    def is_done(self, now: float) -> bool:
        """Return whether every pipeline has been idle for ``IDLE_SECONDS``."""
        return self._idle_since is not None and now - self._idle_since >= IDLE_SECONDS

    @property
    def succeeded(self) -> bool:
        """Whether no file failed and no pipeline is in error."""
        return self.done.failed == 0 and not self.in_error

    def summary(self) -> str:
        """Return what was done, as text."""
        processed, failed, skipped, deleted, warned = self.done
        with_warnings = f" ({warned} with warnings)" if warned else ""
        in_error = f"; in error: {', '.join(self.in_error)}" if self.in_error else ""
        return f"{processed} completed{with_warnings}, {failed} failed, {skipped} skipped, {deleted} deleted{in_error}"

    def _count(self, pipeline_id: str, state: Json) -> None:
        counts, known = counts_of(state), self._pipelines.get(pipeline_id)
        if known is None:
            known = _PipelineWork(state["epoch"], counts, OutcomeCounts(), counts, OutcomeCounts())
        elif state["epoch"] != known.epoch and _is_lower(counts, known.last):
            # A restarted process without a journal counts from zero.
            known = _PipelineWork(state["epoch"], OutcomeCounts(), known.done, counts, OutcomeCounts())
        added = OutcomeCounts(*(max(0, new - old) for new, old in zip(counts, known.baseline, strict=True)))
        added = added._replace(failed=max(added.failed, self._failed_since_start(state)))
        done = OutcomeCounts(*(former + new for former, new in zip(known.former, added, strict=True)))
        self._pipelines[pipeline_id] = known._replace(last=counts, done=done)

    def _failed_since_start(self, state: Json) -> int:
        ends = [datetime.fromisoformat(file["completed_at"]) for file in state["files_failed"] if file["completed_at"]]
        return sum(end.timestamp() >= self._started_at for end in ends)
