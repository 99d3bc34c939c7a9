"""The items that a pipeline publishes, and the sink that takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from rag_pipeline.contract.events import PipelineEvent


class DueFlush(NamedTuple):
    """Asks the sink's owner to call ``flush`` at ``due`` (monotonic seconds)."""

    flush: Callable[[], None]
    due: float


class SnapshotFor(NamedTuple):
    """A status for one receiver only, in order with the pipeline's events."""

    event: PipelineEvent
    receiver: object


Published = PipelineEvent | DueFlush | SnapshotFor


class Sink(Protocol):
    """Takes published items in order; called under the pipeline's lock."""

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take the items in one call of ``extend``; must not wait, raise or give up the GIL."""
        ...
