"""Ends the epochs of pipelines whose events got lost: with the numbering continued, nobody would notice the loss."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.model import StateBody

logger = logging.getLogger("rag_pipeline.journal")

MAX_ENDED = 1000
PATIENCE_SECONDS = 0.5
LOG_SECONDS = 60.0


class Epochs:
    """Begins new epochs, and restamps queued events of the old ones; belongs to the reader of one mailbox."""

    def __init__(self, pipelines: Callable[[], Iterable[StatusCore]]) -> None:
        self._pipelines = pipelines
        self._next: dict[str, str] = {}  # by ended epoch
        self._logged = 0
        self._log_due = 0.0
        self._patience_ends: float | None = None

    def end(self, pipeline_id: str | None) -> bool:
        """End the epoch of a pipeline of this process; return whether there is a pipeline with this id."""
        matching = [pipeline for pipeline in self._pipelines() if pipeline.pipeline_id == pipeline_id]
        for pipeline in matching:
            self._end(pipeline)
        return bool(matching)

    def end_all(self) -> None:
        """End the epoch of every pipeline."""
        for pipeline in self._pipelines():
            self._end(pipeline)

    def _end(self, pipeline: StatusCore) -> None:
        old, new = pipeline.begin_epoch()
        self._next[old] = new
        if len(self._next) > MAX_ENDED:
            del self._next[next(iter(self._next))]

    def restamped(self, event: PipelineEvent) -> PipelineEvent:
        """Return the event with the current epoch of its pipeline."""
        return self._restamped(event) if self._next else event

    def _restamped(self, event: PipelineEvent) -> PipelineEvent:
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

    def watch(self, mailbox: Mailbox[Any]) -> None:
        """Log dropped events, at most once a minute, and make sure that clients notice the gap.

        The next status of each pipeline marks the gap. If none comes in time, the pipeline begins a new epoch.
        """
        if mailbox.dropped > self._logged and monotonic() >= self._log_due:
            self._log_due = monotonic() + LOG_SECONDS
            self._logged = mailbox.dropped
            logger.error(
                "%d events were dropped because too many waited. Clients see a gap, /files is incomplete, and /health "
                "has the count",
                mailbox.dropped,
            )
        if not mailbox.has_gaps or len(mailbox):
            self._patience_ends = None
        elif self._patience_ends is None:
            self._patience_ends = monotonic() + PATIENCE_SECONDS
        elif monotonic() >= self._patience_ends:
            self._patience_ends = None
            for pipeline_id in mailbox.gaps:
                self.end(pipeline_id)
