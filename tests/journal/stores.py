"""A store for tests of what stands around one: in memory, and failing or forgetting when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, FileQuery, FileRow, Lineage, Tail
from rag_pipeline.journal.gap import is_gap
from rag_pipeline.journal.history import files_of
from rag_pipeline.status import SavedState


class ScriptedStore:
    """A journal that keeps everything and counts its batches; ``before_append`` runs on the writer's thread."""

    def __init__(self, identity: str = "0123456789abcdef") -> None:
        self._tail = Tail(Lineage(identity), limit=1_000_000, limit_bytes=1 << 40)
        self.batches: list[int] = []
        self.broken: str | None = None
        self.floor = 0
        self.known: dict[str, SavedState] = {}
        self.closed = False
        self.refuses: Callable[[Event], bool] = lambda _event: False
        self.before_append: Callable[[], object] = lambda: None

    @property
    def lineage(self) -> Lineage:
        return self._tail.lineage

    @property
    def newest(self) -> int:
        return self._tail.newest

    def append(self, events: Sequence[Event]) -> list[Entry]:
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

    def saved(self) -> Mapping[str, SavedState]:
        return self.known

    def files(self, query: FileQuery) -> list[FileRow]:
        self._check()
        return files_of(self._tail.all(), query)

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        self._check()
        return self._tail.newest_statuses()

    def is_whole(self) -> bool:
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


class Gate:
    """Something the writer's thread waits for until the test opens it."""

    def __init__(self) -> None:
        self._open = native.Future()
        self.reached = native.Future()

    def __call__(self) -> None:
        self.reached.set()
        assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()
