"""Epochs that have to end: events of a pipeline are missing, and numbers that went on would hide it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract.events import Event
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.status import StatusCore
from rag_pipeline.status.model import StateBody

logger = logging.getLogger("rag_pipeline.journal")

MAX_ENDED = 1000
PATIENCE_SECONDS = 0.5
TELL_SECONDS = 60.0


class Epochs:
    """Begins new epochs, and restamps the events that are still under way; belongs to one reader of a hand-over."""

    def __init__(self, pipelines: Callable[[], Iterable[StatusCore]]) -> None:
        self._pipelines = pipelines
        self._next: dict[str, str] = {}  # by the epoch that has ended
        self._told = 0
        self._tell_due = 0.0
        self._mend_due: float | None = None

    def end(self, pipeline_id: str | None) -> bool:
        """End the epoch of a pipeline of this process; return whether there is one of this id."""
        found = [pipeline for pipeline in self._pipelines() if pipeline.pipeline_id == pipeline_id]
        for pipeline in found:
            self._end(pipeline)
        return bool(found)

    def end_all(self) -> None:
        """End the epoch of every pipeline."""
        for pipeline in self._pipelines():
            self._end(pipeline)

    def _end(self, pipeline: StatusCore) -> None:
        old, new = pipeline.begin_epoch()
        self._next[old] = new
        if len(self._next) > MAX_ENDED:
            del self._next[next(iter(self._next))]

    def restamped(self, event: Event) -> Event:
        """Return the event under the epoch that its pipeline has by now."""
        return self._restamped(event) if self._next else event

    def _restamped(self, event: Event) -> Event:
        epoch = event.epoch or ""
        if epoch not in self._next:
            return event
        while epoch in self._next:
            epoch = self._next[epoch]
        body = event.body
        if isinstance(body, StateBody):
            body = body._replace(epoch=epoch)
        elif isinstance(body, GapBody):
            body = GapBody(body.state._replace(epoch=epoch))
        return event._replace(epoch=epoch, body=body)

    def watch(self, handover: Mailbox[Any]) -> None:
        """Say that events were dropped on the way here, once a minute at most, and see that clients learn of it.

        The next status of each pipeline says so. If none comes, the pipeline begins a new epoch.
        """
        if handover.dropped > self._told and monotonic() >= self._tell_due:
            self._tell_due = monotonic() + TELL_SECONDS
            self._told = handover.dropped
            logger.error(
                "%d events were dropped: too many waited. Clients see a gap, /files is not complete, and /health has "
                "the count",
                handover.dropped,
            )
        if not handover.is_torn or len(handover):
            self._mend_due = None
        elif self._mend_due is None:
            self._mend_due = monotonic() + PATIENCE_SECONDS
        elif monotonic() >= self._mend_due:
            self._mend_due = None
            for pipeline_id in handover.torn:
                self.end(pipeline_id)
