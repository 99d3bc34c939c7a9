"""Checks that each pipeline's events are written once and without gaps."""

from __future__ import annotations

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.redis.batch import Item, state_items
from rag_pipeline.status.model import StateBody


class SequenceTracker:
    """Follows each pipeline's ``seq``, to notice events that are missing or were taken already."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}
        self._incomplete: set[str] = set()

    def is_old(self, event: PipelineEvent) -> bool:
        """Return whether the event, or a later state that includes it, was taken already."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and event.seq < seq + event.numbered

    def misses(self, event: PipelineEvent) -> bool:
        """Return whether events are missing between the last one and this."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and event.seq > seq + event.numbered

    def take(self, event: PipelineEvent, *, gap: bool = False) -> list[Item]:
        """Return the items to write for the event; after missing events, a status comes with repairs of files."""
        pipeline_id = event.pipeline_id or ""
        epoch, seq = self._last.get(pipeline_id, (None, 0))
        if gap or epoch != event.epoch or event.seq != seq + event.numbered:
            self._incomplete.add(pipeline_id)
        self._last[pipeline_id] = (event.epoch or "", event.seq)
        if pipeline_id in self._incomplete and isinstance(event.body, StateBody):
            self._incomplete.remove(pipeline_id)
            return state_items(event, event.body, gap=gap)
        return [event]

    def has_reached(self, event: PipelineEvent) -> bool:
        """Return whether everything up to the event was taken."""
        epoch, seq = self._last.get(event.pipeline_id or "", (None, 0))
        return epoch == event.epoch and seq >= event.seq

    def forget(self, pipeline_id: str) -> None:
        """Forget the pipeline; any event may come next."""
        self._last.pop(pipeline_id, None)
