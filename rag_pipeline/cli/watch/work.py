"""Whether the work of the pipelines is done, and what failed of it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from rag_pipeline.contract.events import Json

BUSY = frozenset({"initializing", "scanning", "running", "processing", "paused", "stalled"})
"""The statuses of a pipeline whose work is not done."""
BROKEN = "error"
SETTLED_SECONDS = 1.0
"""So long all pipelines have to be done: between two files there may be a moment with none in flight."""


class Totals(NamedTuple):
    """How many files came to which end."""

    processed: int = 0
    failed: int = 0
    skipped: int = 0
    deleted: int = 0


def is_busy(state: Json) -> bool:
    """Return whether the pipeline has work under way, or waiting, or looks for some."""
    return bool(
        state["status"] in BUSY or state["is_checking"] or state["files_in_flight"] or (state["files_queued"] or 0)
    )


def totals_of(state: Json) -> Totals:
    """Return the totals of a state."""
    return Totals(*(state[f"total_{name}"] for name in Totals._fields))


class _Seen(NamedTuple):
    """A pipeline: its totals when watching began and at the last look; what was done in former epochs, and in all."""

    epoch: str
    before: Totals
    earlier: Totals
    last: Totals
    done: Totals


class Work:
    """What happened since watching began, at ``began_at`` in wall-clock seconds; shown states by :meth:`look`.

    A file that failed between that moment and the first look counts too, if it is among the last that failed: a
    watcher that is started together with its service misses none.
    """

    def __init__(self, began_at: float) -> None:
        self.broken: list[str] = []  # pipelines in error, by the last look
        self._began_at = began_at
        self._seen: dict[str, _Seen] = {}
        self._idle_since: float | None = None

    @property
    def done(self) -> Totals:
        """How many files came to which end, by their newest outcome."""
        return (
            Totals(*map(sum, zip(*(seen.done for seen in self._seen.values()), strict=True)))
            if self._seen
            else Totals()
        )

    def look(self, states: Mapping[str, Json], now: float) -> None:
        """Take the states in; ``now`` is monotonic seconds."""
        for pipeline_id, state in states.items():
            self._count(pipeline_id, state)
        self.broken = [pipeline_id for pipeline_id, state in states.items() if state["status"] == BROKEN]
        if not states or any(map(is_busy, states.values())):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now

    def look_away(self) -> None:
        """Note that the states can't be seen now: what is idle has to be so once more."""
        self._idle_since = None

    def is_done(self, now: float) -> bool:
        """Return whether every pipeline has been idle for long enough."""
        return self._idle_since is not None and now - self._idle_since >= SETTLED_SECONDS

    @property
    def well(self) -> bool:
        """Whether no file failed, and no pipeline is in error."""
        return self.done.failed == 0 and not self.broken

    def summary(self) -> str:
        """Return what was done since watching began, in words."""
        processed, failed, skipped, deleted = self.done
        broken = f"; in error: {', '.join(self.broken)}" if self.broken else ""
        return f"{processed} completed, {failed} failed, {skipped} skipped, {deleted} deleted{broken}"

    def _count(self, pipeline_id: str, state: Json) -> None:
        now, seen = totals_of(state), self._seen.get(pipeline_id)
        if seen is None:
            seen = _Seen(state["epoch"], now, Totals(), now, Totals())
        elif state["epoch"] != seen.epoch and any(is_less < was for is_less, was in zip(now, seen.last, strict=True)):
            # A new process without a journal counts from the start.
            seen = _Seen(state["epoch"], Totals(), seen.done, now, Totals())
        risen = Totals(*(max(0, new - old) for new, old in zip(now, seen.before, strict=True)))
        risen = risen._replace(failed=max(risen.failed, self._failed_since(state)))
        done = Totals(*(one + other for one, other in zip(seen.earlier, risen, strict=True)))
        self._seen[pipeline_id] = seen._replace(last=now, done=done)

    def _failed_since(self, state: Json) -> int:
        ends = [datetime.fromisoformat(file["completed_at"]) for file in state["files_failed"] if file["completed_at"]]
        return sum(end.timestamp() >= self._began_at for end in ends)
