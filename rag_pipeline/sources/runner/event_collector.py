"""Collects the events of pipelines, for a terminal: it follows them as any client of the service does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import Published


class EventCollector:
    """The events of some pipelines, in the order in which they happened."""

    def __init__(self, statuses: Sequence[PipelineStatus]) -> None:
        self._published: deque[Published] = deque()
        self._statuses = statuses
        for status in statuses:
            core_of(status).attach(self)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what a pipeline publishes."""
        self._published.extend(items)

    def take(self) -> Iterator[PipelineEvent]:
        """Yield the events since the last call."""
        while self._published:
            item = self._published.popleft()
            if isinstance(item, PipelineEvent):
                yield item

    def close(self) -> None:
        """Collect no more; what was collected can still be taken."""
        for status in self._statuses:
            core_of(status).detach(self)
