"""Which stored file has the content of a new one, and which files with one content are under work at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from rag_pipeline.sources.following.hand import Hashed, Job, Read
from rag_pipeline.sources.following.plan import keeps_type
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.source import FoundFile
from rag_pipeline.sources.worker_pool import WorkerPool

MOST_TWINS = 1_000
"""Of more files with one content the others are not asked."""


class Twin(NamedTuple):
    """A stored file with the content. ``moves`` says that it is missing: then the new file is the same, elsewhere."""

    file_id: str
    moves: bool


class Parked(NamedTuple):
    """The work on the file goes on when that on ``until`` is over."""

    until: str


class Twins:
    """Has each content read once; safe to call from several threads.

    A missing file whose text moves is reserved in the crew, so that nothing else becomes of it meanwhile. A file whose
    content is being read under another name is parked.
    missing: the known files that the last scan has missed; protected by the records' lock.
    """

    def __init__(self, records: Records, crew: WorkerPool[Job]) -> None:
        self.missing: Container[str] = frozenset[str]()
        self._records = records
        self._crew = crew
        self._moving: set[str] = set()
        self._copied: Counter[str] = Counter()
        self._reading: dict[tuple[str, str], str] = {}  # file ids by fingerprint and suffix

    def find(self, file: FoundFile, hashed: Hashed, without: Container[str] = ()) -> Twin | Parked | None:
        """Return a stored file to take the content from, which :meth:`leave` has to be called for.

        ``without`` are stored files that it can't be taken from. With None the file has to be read itself, by the
        caller, who calls :meth:`end` after it.
        """
        with self._records.lock:
            moving: str | None = None
            copied: str | None = None
            for key in islice(self._records.with_content(hashed.fingerprint), MOST_TWINS):
                row = self._records.known.get(key)
                if key == file.file_id or key in without or row is None or not keeps_type(file, row):
                    continue
                if key in self._moving:
                    moving = moving or key
                elif key in self.missing and not self._copied[key] and self._crew.reserve(key):
                    self._moving.add(key)
                    return Twin(key, moves=True)
                else:
                    copied = copied or key
            if copied is not None:
                self._copied[copied] += 1
                return Twin(copied, moves=False)
            content = _content(file, hashed)
            until = moving or self._reading.setdefault(content, file.file_id)
            if until != file.file_id and self._crew.park(file.file_id, Read(file, hashed), until):
                return Parked(until)
            return None

    def leave(self, twin: Twin) -> None:
        """Note that nothing is taken from a stored file any more."""
        with self._records.lock:
            if not twin.moves:
                self._copied[twin.file_id] -= 1
                if not self._copied[twin.file_id]:
                    del self._copied[twin.file_id]
                return
            self._moving.discard(twin.file_id)
        self._crew.release(twin.file_id)

    def end(self, file_id: str) -> None:
        """Note that a file is not being read any more."""
        with self._records.lock:
            for content in [content for content, key in self._reading.items() if key == file_id]:
                del self._reading[content]


def _content(file: FoundFile, hashed: Hashed) -> tuple[str, str]:
    return hashed.fingerprint, PurePosixPath(file.name).suffix.lower()
