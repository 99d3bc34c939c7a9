"""Sinks that record what a pipeline publishes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import Published
from tests.support.state_client import JsonDict


class Recorder:
    """A sink that keeps everything that is published."""

    def __init__(self) -> None:
        self.items: list[Published] = []

    def publish_all(self, items: Iterator[Published]) -> None:
        self.items.extend(items)

    @property
    def events(self) -> list[PipelineEvent]:
        return [item for item in self.items if isinstance(item, PipelineEvent)]

    @property
    def changes(self) -> list[PipelineEvent]:
        """The numbered events: without each status that only sums up the events before it."""
        return [event for event in self.events if event.numbered]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.changes]

    @property
    def last(self) -> JsonDict:
        return self.changes[-1].payload()


class StatusNumbers(set[int]):
    """A sink that keeps the ``seq`` of each numbered ``pipeline:status``."""

    def publish_all(self, items: Iterator[Published]) -> None:
        self.update(
            item.seq
            for item in items
            if isinstance(item, PipelineEvent) and item.numbered and item.name == events.STATUS
        )


def status_numbers(pipeline: PipelineStatus) -> StatusNumbers:
    """Record the numbers of the pipeline's statuses from now on; it must be attached to its server already."""
    numbers = StatusNumbers()
    core_of(pipeline).attach(numbers)
    return numbers


def untyped(pipeline: PipelineStatus) -> Any:
    """Return the pipeline untyped, for own fields as keywords and for arguments of wrong types."""
    return pipeline
