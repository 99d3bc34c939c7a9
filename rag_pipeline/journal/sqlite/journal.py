"""The journal in a SQLite file: it outlives the process, and is bounded by count and age."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.contract.events import STATUS, PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery, StoredBody
from rag_pipeline.journal.sqlite import batch_insert
from rag_pipeline.journal.sqlite.checkpoints import CheckpointWriter, load_checkpoints, saved_states
from rag_pipeline.journal.sqlite.files import sweep_files
from rag_pipeline.journal.sqlite.generations import begin_generation
from rag_pipeline.journal.sqlite.lock import JournalLock
from rag_pipeline.journal.sqlite.schema import (
    MAX_INTEGER,
    StoredDataError,
    decoded,
    file_error,
    open_reader,
    open_writer,
    transaction,
)
from rag_pipeline.journal.sqlite.search import FileSearch
from rag_pipeline.status.saved import SavedState

MAX_EVENTS = 100_000
MAX_AGE_SECONDS = 7 * 86_400.0
SWEEP_SECONDS = 60.0
SWEEP_EVENTS = 4096
_PRUNE_ROWS = 256

CHECK_SECONDS = 1.0


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode, which change when the file is replaced; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class SqliteJournal:
    """A :class:`~rag_pipeline.journal.base.LocalJournal` in the file at ``path``, which one process uses at a time.

    It keeps at most ``max_events``, and removes events, and rows of deleted files, soon after ``max_age_seconds``. Rows
    of other files stay. Reads never wait for a transaction, and reads of events never for a search of files. A failed
    append changes nothing, and a later one may succeed. Raises JournalError if the file is damaged, has a newer format,
    is in use or can't be written.
    """

    def __init__(self, path: Path, *, max_events: int = MAX_EVENTS, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self._path = path.absolute()
        self._max_events = max_events
        self._max_age = max_age_seconds
        self._prune_rows = min(_PRUNE_ROWS, max_events // 10)
        self._sweep_due = 0.0
        self._check_due = 0.0
        self._closed = False
        self._write_lock = native.allocate_lock()  # protects the writing connection and the checkpoints
        self._read_lock = native.allocate_lock()  # protects the reading connection
        self._file_lock = JournalLock(self._path)
        try:
            self._open()
        except BaseException:
            self._file_lock.close()
            raise
        self._file = file_identity(self._path)

    def _open(self) -> None:
        with self._errors():
            self._writer = open_writer(self._path)
        try:
            with self._errors():
                self._reader = open_reader(self._path)
            try:
                with self._errors():
                    batch_insert.install(self._writer)
                    self._load()
                    self.generations = begin_generation(self._writer, self.newest)
                    self._search = FileSearch(self._path)
            except BaseException:
                self._reader.close()
                raise
        except BaseException:
            self._writer.close()
            raise

    def _load(self) -> CheckpointWriter:
        newest = self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        (oldest,) = self._writer.execute("SELECT min(position) FROM events").fetchone()
        # The position of a file may be after that of the last event.
        (file,) = self._writer.execute("SELECT max(position) FROM files").fetchone()
        self.newest: int = max(0 if newest is None else newest[0], file or 0)
        self._floor: int = self.newest if oldest is None else oldest - 1
        self._checkpoints: CheckpointWriter | None = load_checkpoints(self._writer)
        return self._checkpoints

    def append(self, events: Sequence[PipelineEvent]) -> list[Entry]:
        """Store all of the events or none; on return they outlive the process."""
        if not events:
            return []
        with self._writing() as db:
            self._check_file()
            checkpoints = self._checkpoints or self._load()
            self._checkpoints = None  # loaded again unless the write succeeds
            entries, rows, newest = self._number(events, checkpoints)
            rows += [*checkpoints.take(), *self._prune(newest, newest - self.newest)]
            is_due = time.monotonic() >= self._sweep_due
            with transaction(db) if is_due else nullcontext():
                batch_insert.insert(db, rows)
                if is_due:
                    self._sweep(db, newest)
            self.newest, self._checkpoints = newest, checkpoints
            return entries

    def _check_file(self) -> None:
        """Raise JournalError if the file was removed: SQLite would go on writing, and the events would be lost."""
        if time.monotonic() >= self._check_due:
            self._check_due = time.monotonic() + CHECK_SECONDS
            if file_identity(self._path) != self._file:
                raise JournalError(f"{self._path} was removed or replaced while in use")

    def _number(
        self, events: Sequence[PipelineEvent], checkpoints: CheckpointWriter
    ) -> tuple[list[Entry], list[batch_insert.BatchRow], int]:
        """Return the entries, their rows, and the last position that they use."""
        entries: list[Entry] = []
        rows: list[batch_insert.BatchRow] = []
        position = self.newest
        for event in events:
            position += event.numbered
            entry = Entry(position, event)
            entries.append(entry)
            last = checkpoints.note(event, position)
            if event.numbered:
                name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, _, _ = event
                spaces = " ".join(namespaces)
                row = (position, at, name, spaces, pipeline_id, pipeline_type, epoch, seq, entry.text)
                rows.append((batch_insert.EVENT, *row))
            position = last
        return entries, rows, position

    def _prune(self, newest: int, added: int) -> list[batch_insert.BatchRow]:
        """Return the row that removes events over the limit; per append not many more than were added."""
        if newest - self._floor <= self._max_events:
            return []
        furthest = self._floor + 2 * added + self._prune_rows + 1
        return [self._raise_floor(min(newest, furthest, newest - self._max_events + self._prune_rows))]

    def _sweep(self, db: sqlite3.Connection, newest: int) -> None:
        """Remove a limited number of events and deleted files that are too old; called in a transaction."""
        before, most = time.time() - self._max_age, self._floor + SWEEP_EVENTS
        young = "SELECT min(position) FROM events WHERE position <= ? AND at >= ?"
        (first,) = db.execute(young, (most, before)).fetchone()
        floor = min(newest, most) if first is None else first - 1
        if floor > self._floor:
            batch_insert.insert(db, [self._raise_floor(floor)])
        if not sweep_files(db, before) and floor < most:
            self._sweep_due = time.monotonic() + SWEEP_SECONDS

    def _raise_floor(self, floor: int) -> batch_insert.BatchRow:
        # Before the commit: a reader that then calls reaches() notices the removal.
        self._floor = floor
        return batch_insert.PRUNE, floor

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        return self._floor <= position <= self.newest

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        if namespace is not None and (not namespace or " " in namespace):
            return []
        # Not past the newest: reaches() does not count what is committed but not yet noted.
        values = (min(after, MAX_INTEGER), self.newest, namespace, namespace, max(0, min(limit, MAX_INTEGER)))
        query = (
            "SELECT position, name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, text FROM events"
            " WHERE position > ? AND position <= ?"
            " AND (? IS NULL OR instr(' ' || namespaces || ' ', ' ' || ? || ' ') > 0) ORDER BY position LIMIT ?"
        )
        with self._reading() as db, suppress(UnicodeEncodeError):  # no namespace has such a name
            return [decoded(_entry, *row) for row in db.execute(query, values)]
        return []

    def saved_states(self) -> Mapping[str, SavedState]:
        """Return the state that each pipeline resumes from, by pipeline id."""
        with self._reading() as db, transaction(db, "BEGIN"):  # all as of one moment
            return saved_states(db)

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        with self._errors(), suppress(UnicodeEncodeError):  # in the query: no stored text has it
            return self._search.files(query)
        return []

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        """Return the position of the newest ``pipeline:status`` by pipeline id and namespace."""
        query = (
            "SELECT pipeline_id, namespaces, max(position) FROM events WHERE name = ? GROUP BY pipeline_id, namespaces"
        )
        newest: dict[tuple[str, str], int] = {}
        with self._reading() as db:
            for pipeline_id, namespaces, position in db.execute(query, (STATUS,)):
                for namespace in namespaces.split():
                    key = pipeline_id or "", namespace
                    newest[key] = max(position, newest.get(key, 0))
        return newest

    def has_all_files(self) -> bool:
        """Return whether the list of files is complete: no event was ever dropped before it was stored."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM gaps LIMIT 1").fetchone() is None

    def size(self) -> Mapping[str, Any]:
        """Return the number of events, and the bytes on disk."""
        paths = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        total = 0
        for path in paths:
            with suppress(OSError):
                total += path.stat().st_size
        return {"kind": "sqlite", "events": max(0, self.newest - self._floor), "bytes": total}

    def close(self) -> None:
        """Close the file and release its lock; idempotent."""
        self._search.close()
        with self._write_lock, self._read_lock:
            if self._closed:
                return
            self._closed = True
            # The writer last: only it can move what is still in the log to the main file.
            for db in (self._reader, self._writer):
                with suppress(sqlite3.Error):
                    db.close()
            self._file_lock.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, self._errors():
            yield self._writer

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, self._errors():
            yield self._reader

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._closed:
            raise JournalError(f"the journal {self._path} is closed")
        try:
            yield
        except (sqlite3.Error, StoredDataError) as error:
            if (cause := file_error(self._path, error)) is None:
                raise
            raise cause from error


def _entry(position: int, *row: Any) -> Entry:
    name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, text = row
    body = StoredBody(text)
    return Entry(
        position, PipelineEvent(name, tuple(namespaces.split()), pipeline_id, pipeline_type, epoch, seq, at, body), text
    )
