"""Records what pipelines publish, independently of the service, to compare it with what clients received."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rag_pipeline.contract.events import PipelineEvent, resolve_namespace
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import Published
from tests.verify.compare import Emitted


class Recorder:
    """A second sink beside the server's; attach it with :meth:`follow` while the pipelines are idle."""

    def __init__(self) -> None:
        self._items: list[Published] = []

    def follow(self, pipeline: PipelineStatus) -> None:
        """Record everything that the pipeline publishes from now on, starting with its current state."""
        core_of(pipeline).attach(self)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Record the items."""
        self._items.extend(items)

    def count(self, namespace: str) -> int:
        """Return how many events were emitted to the namespace so far."""
        return len(self._events(namespace))

    def emitted(self, namespace: str) -> list[Emitted]:
        """Return what a client in the namespace must have received, converted through JSON."""
        return [Emitted(event.name, json.loads(json.dumps(event.payload()))) for event in self._events(namespace)]

    def _events(self, namespace: str) -> list[PipelineEvent]:
        name = resolve_namespace(namespace)
        return [item for item in self._items.copy() if isinstance(item, PipelineEvent) and name in item.namespaces]
