"""What a pipeline publishes, and who takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from rag_pipeline.contract.events import PipelineEvent


class DueFlush(NamedTuple):
    """Asks whoever delivers a pipeline's events to call ``flush`` at ``due`` (monotonic seconds)."""

    flush: Callable[[], None]
    due: float


class SnapshotFor(NamedTuple):
    """A status for one receiver alone, at its place in the order of the pipeline's events."""

    event: PipelineEvent
    receiver: object


Published = PipelineEvent | DueFlush | SnapshotFor


class Sink(Protocol):
    """Takes what a pipeline publishes, in order; called under the pipeline's lock."""

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take the items in one call of ``extend``; must neither wait nor raise, nor give up the GIL."""
        ...
