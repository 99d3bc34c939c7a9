"""What a pipeline sends and when: to its sinks at once, and the status that follows file events within its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from rag_pipeline.events import Event
from rag_pipeline.status.state import Moment

if TYPE_CHECKING:
    from rag_pipeline.status.pipeline import PipelineStatus

STATUS_INTERVAL_SECONDS = 0.1
"""Least time between two statuses that follow file events: at most 10 a second."""
STATUS_DELAY_SECONDS = 0.095
"""Longest wait of such a status for a file event it could go out with; it must follow within 100 ms."""
FLUSH_PATIENCE_SECONDS = 1.0
NEVER = float("inf")


class FlushRequest(NamedTuple):
    """Asks whoever delivers a pipeline's events to call its :meth:`PipelineStatus.flush` at ``due`` (monotonic)."""

    pipeline: PipelineStatus
    due: float


class Directed(NamedTuple):
    """A status for one receiver alone, at its place in the order of the pipeline's events."""

    event: Event
    to: object


Published = Event | FlushRequest | Directed


class Sink(Protocol):
    """Takes what a pipeline publishes, in order; called under the pipeline's lock."""

    def publish(self, item: Published) -> None:
        """Take the item; must neither wait nor raise, nor give up the GIL."""
        ...


class Publisher:
    """The sinks of one pipeline, and when its next status is due; every call needs the pipeline's lock held."""

    def __init__(self, pipeline: PipelineStatus) -> None:
        self._pipeline = pipeline
        self._sinks: tuple[Sink, ...] = ()
        self._status_sent = -NEVER
        self._status_due = NEVER
        self._flush_due = NEVER

    def __contains__(self, sink: Sink) -> bool:
        return sink in self._sinks

    def add(self, sink: Sink) -> None:
        """Publish to the sink too; what another sink was asked to flush is asked anew."""
        self._sinks = (*self._sinks, sink)
        self._flush_due = NEVER

    def remove(self, sink: Sink) -> None:
        """Publish to the sink no more."""
        self._sinks = tuple(s for s in self._sinks if s is not sink)

    def clear(self) -> None:
        """Publish to no one."""
        self._sinks = ()
        self._flush_due = NEVER

    def publish(self, item: Published) -> None:
        """Hand the item to every sink."""
        for sink in self._sinks:
            sink.publish(item)

    def status(self, event: Event, now: Moment) -> None:
        """Publish a status: whatever status was owed is paid."""
        self.publish(event)
        self._status_due = NEVER
        self._status_sent = now.mono

    def takes_status(self, now: Moment) -> bool:
        """Return whether a status may go out with a file event: in one buffer with it, it costs the least."""
        return now.mono >= self._status_sent + STATUS_INTERVAL_SECONDS and bool(self._sinks)

    def owe_status(self, now: Moment) -> None:
        """See to it that a status goes out soon: within 100 ms, but not within 100 ms of the last one."""
        if self._status_due == NEVER:
            self._status_due = max(now.mono + STATUS_DELAY_SECONDS, self._status_sent + STATUS_INTERVAL_SECONDS)
        self.ask_flush(self._status_due, now)

    def status_is_due(self, now: Moment, *, early: bool) -> bool:
        """Return whether a status is owed and its time has come, or it may go out ``early``."""
        return self._status_due != NEVER and (early or now.mono >= self._status_due)

    def ask_flush(self, due: float, now: Moment) -> None:
        """Ask for a flush at ``due``, unless one is asked for that comes no later."""
        # Asked again once overdue: a hand-over that overflowed has lost the request.
        if due < self._flush_due or now.mono > self._flush_due + FLUSH_PATIENCE_SECONDS:
            self._flush_due = due
            self.publish(FlushRequest(self._pipeline, due))

    def flushed(self, next_release: float | None, now: Moment) -> None:
        """A flush was made: ask for the next one if anything is left."""
        # A flush before its time leaves the request that is under way: made again, each sink would add one to it.
        if now.mono >= self._flush_due:
            self._flush_due = NEVER
        due = min(self._status_due, NEVER if next_release is None else next_release)
        if due != NEVER:
            self.ask_flush(due, now)
