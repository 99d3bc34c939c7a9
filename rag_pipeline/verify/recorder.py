"""Keeps what pipelines publish, apart from the service: what clients received is measured against it."""

from __future__ import annotations

import json

from rag_pipeline.events import Event, resolve_namespace
from rag_pipeline.status import PipelineStatus, Published
from rag_pipeline.verify.compare import Emitted


class Recorder:
    """A sink beside the server's own; attach it with :meth:`follow` while the pipelines are quiet."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def follow(self, pipeline: PipelineStatus) -> None:
        """Keep all the pipeline publishes from now on; the state as it stands comes first."""
        pipeline.attach(self)

    def publish(self, item: Published) -> None:
        """Keep an event; requests to flush are for those who deliver."""
        if isinstance(item, Event):
            self._events.append(item)

    def count(self, namespace: str) -> int:
        """Return how many events were emitted to the namespace so far."""
        return sum(resolve_namespace(namespace) in event.namespaces for event in self._events.copy())

    def emitted(self, namespace: str) -> list[Emitted]:
        """Return what a client in the namespace must have received, as it looks after its way through JSON."""
        events = [event for event in self._events.copy() if resolve_namespace(namespace) in event.namespaces]
        return [Emitted(event.name, json.loads(json.dumps(event.payload()))) for event in events]
