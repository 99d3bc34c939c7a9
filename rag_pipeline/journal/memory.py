"""The journal in memory: the tail is all there is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rag_pipeline.journal.backend import HubHandle, health_fields
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery, Generations, new_identity
from rag_pipeline.journal.fetcher import OnFetched
from rag_pipeline.journal.history import files_of
from rag_pipeline.journal.tail import Tail
from rag_pipeline.journal.writer import JournalWriter
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import Sink


class MemoryBackend:
    """A :class:`~rag_pipeline.journal.backend.JournalBackend` without storage: the hub numbers the events."""

    shared = False
    writer: JournalWriter | None = None

    def __init__(self) -> None:
        self.tail = Tail(Generations(new_identity()))
        self._hub: HubHandle | None = None

    def connect(self, hub: HubHandle) -> Sink:
        """Return the hub's mailbox: pipelines publish straight to the hub."""
        self._hub = hub
        return hub.mailbox

    def start(self) -> None:
        """Do nothing: there is no thread."""

    def stop(self) -> None:
        """Do nothing: there is no thread."""

    def claim(self, pipeline_ids: Collection[str]) -> frozenset[str]:  # noqa: ARG002 - the protocol's signature
        """Return no id: no other process shares this journal."""
        return frozenset()

    def wait_for_claims(self, pipeline_ids: Collection[str]) -> None:
        """Return at once: no other process shares this journal."""

    def restore(self, pipeline_id: str) -> SavedState | None:  # noqa: ARG002 - the protocol's signature
        """Return None: nothing outlives the process."""
        return None

    def reaches(self, position: int) -> bool:
        """Return whether the tail has every event after the position."""
        return self.tail.reaches(position)

    def fetch(self, position: int, namespace: str, done: OnFetched) -> None:  # noqa: ARG002 - the protocol's signature
        """Report that older events are gone."""
        done(None, position)

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order."""
        return self.tail.read(after, limit, namespace)

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        return files_of(self.tail.all(), query)

    def has_all_files(self) -> bool:
        """Return whether the tail still has every event."""
        return self.tail.start == 0 and not self.dropped

    @property
    def dropped(self) -> int:
        """The number of events dropped since the start because too many waited."""
        return 0 if self._hub is None else self._hub.mailbox.dropped

    def describe(self) -> dict[str, Any]:
        """Return the journal's part of ``/health``."""
        return health_fields({"kind": "memory", "events": len(self.tail)}, None, self.dropped)
