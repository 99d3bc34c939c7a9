"""Doubles for tests of backends: a journal that fails when the test says so, and a hub's mailbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileMatch, FileQuery, Generations, Tail
from rag_pipeline.journal.gap import is_gap
from rag_pipeline.journal.history import files_of
from rag_pipeline.status.saved import SavedState


class ScriptedJournal:
    """A journal in memory that counts its batches; ``before_append`` runs on the writer's thread."""

    def __init__(self, identity: str = "0123456789abcdef") -> None:
        self._tail = Tail(Generations(identity), limit=1_000_000, limit_bytes=1 << 40)
        self.batches: list[int] = []
        self.broken: str | None = None
        self.floor = 0
        self.known: dict[str, SavedState] = {}
        self.closed = False
        self.refuses: Callable[[PipelineEvent], bool] = lambda _event: False
        self.before_append: Callable[[], object] = lambda: None

    @property
    def generations(self) -> Generations:
        return self._tail.generations

    @property
    def newest(self) -> int:
        return self._tail.newest

    def append(self, events: Sequence[PipelineEvent]) -> list[Entry]:
        self.before_append()
        self._check()
        if any(map(self.refuses, events)):
            raise TypeError("refused")
        self.batches.append(len(events))
        return [self._tail.number(event) for event in events]

    def reaches(self, position: int) -> bool:
        return self.floor <= position <= self.newest

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        self._check()
        return self._tail.read(max(after, self.floor), limit, namespace)

    def saved_states(self) -> Mapping[str, SavedState]:
        return self.known

    def files(self, query: FileQuery) -> list[FileMatch]:
        self._check()
        return files_of(self._tail.all(), query)

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        self._check()
        return dict(self._tail._statuses)

    def has_all_files(self) -> bool:
        self._check()
        return not any(is_gap(entry.event) for entry in self._tail.all())

    def size(self) -> Mapping[str, Any]:
        self._check()
        return {"kind": "scripted", "events": len(self._tail)}

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.broken is not None:
            raise JournalError(self.broken)


class RecordingMailbox(Mailbox[Any]):
    """The mailbox of a hub that handles each published item at once."""

    def __init__(self, handle: Callable[[Any], object]) -> None:
        super().__init__(wake_up=native.AutoResetEvent())
        self._handle_item = handle

    def publish(self, item: Any) -> None:
        self._handle_item(item)


class Gate:
    """Blocks the writer's thread until the test opens it."""

    def __init__(self) -> None:
        self._open = native.Future()
        self.reached = native.Future()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()
