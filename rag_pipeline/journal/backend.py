"""The interface between the service and its journal. Memory, SQLite and Redis each implement it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery, Generations
from rag_pipeline.journal.fetcher import OnFetched
from rag_pipeline.journal.tail import Tail
from rag_pipeline.journal.writer import JournalWriter
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import Sink


class HubHandle(NamedTuple):
    """The part of the hub that a backend uses.

    mailbox: takes events, entries and control messages for the hub.
    call: runs a function on the hub's thread, after everything published before.
    begin_journal: starts a journal of these generations at this position; the entries, if any, are the known states.
    mark_stalled: shows these pipelines as stalled, and no others.
    pipelines: returns the pipelines of this process.
    """

    mailbox: Mailbox[Any]
    call: Callable[[Callable[[], None]], None]
    begin_journal: Callable[[Generations, int, tuple[Entry, ...] | None], None]
    mark_stalled: Callable[[Iterable[str]], None]
    pipelines: Callable[[], Iterable[StatusCore]]


class JournalBackend(Protocol):
    """Stores the service's events and reads them back; any thread may call it."""

    @property
    def shared(self) -> bool:
        """Whether other processes publish to the same journal."""
        ...

    @property
    def tail(self) -> Tail:
        """The newest events, in memory."""
        ...

    @property
    def writer(self) -> JournalWriter | None:
        """The thread that stores events before the hub gets them; None if no thread of this process does."""
        ...

    def connect(self, hub: HubHandle) -> Sink:
        """Connect to the hub; return the sink that pipelines publish to."""
        ...

    def start(self) -> None:
        """Start the threads; raises JournalError if the storage can't be used."""
        ...

    def stop(self) -> None:
        """Store what is queued, and release all resources within seconds; idempotent."""
        ...

    def claim(self, pipeline_ids: Collection[str]) -> frozenset[str]:
        """Claim the ids for this process; return those that another process, dead or alive, may still own."""
        ...

    def wait_for_claims(self, pipeline_ids: Collection[str]) -> None:
        """Wait until this process owns the ids; raises JournalError that names the owner if another process lives."""
        ...

    def restore(self, pipeline_id: str) -> SavedState | None:
        """Return the state that the pipeline resumes from; only once, so a later instance does not go back to it."""
        ...

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position can be read; never waits."""
        ...

    def fetch(self, position: int, namespace: str, done: OnFetched) -> None:
        """Read what the tail no longer has; see :meth:`~rag_pipeline.journal.fetcher.Fetcher.fetch`. Never waits."""
        ...

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order; may wait for the storage."""
        ...

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first; may wait for the storage."""
        ...

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file there was."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the journal's part of ``/health``."""
        ...


def health_fields(fields: Mapping[str, Any], error: str | None, dropped: int) -> dict[str, Any]:
    """Return the fields with ``status``, ``error`` and ``dropped``: degraded after an error or dropped events."""
    reasons = [] if error is None else [error]
    if dropped:
        reasons.append(f"{dropped} events were dropped because too many waited: /files is incomplete")
        fields = {**fields, "dropped": dropped + int(fields.get("dropped", 0))}
    if not reasons:
        return {**fields, "status": "ok"}
    return {**fields, "status": "degraded", "error": "; ".join(reasons)}
