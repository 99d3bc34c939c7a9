"""The journal in one SQLite file: outlives the process, bounded by count and age, pruned as it goes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.contract.events import STATUS, Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, StoredBody
from rag_pipeline.journal.sqlite import batch_insert as inbox
from rag_pipeline.journal.sqlite.checkpoints import Books, load_books, saved_states
from rag_pipeline.journal.sqlite.files import sweep_files
from rag_pipeline.journal.sqlite.generations import begin_generation
from rag_pipeline.journal.sqlite.lock import JournalLock
from rag_pipeline.journal.sqlite.schema import (
    MAX_INTEGER,
    StoredDataError,
    broken,
    decoded,
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

LOOK_SECONDS = 1.0


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another at the same path, None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class SqliteJournal:
    """Keeps events in the SQLite file at ``path``, which one process holds at a time.

    At most ``max_events`` are kept, none older than ``max_age_seconds`` for long; files are listed for as long as they
    are there, deleted ones for ``max_age_seconds``. Readers never wait for a transaction that is being written, and
    those of events never for a search of files. An error of an append undoes that append alone: a later one may
    succeed. Raises :class:`~rag_pipeline.errors.JournalError` if the file is damaged, of a newer version, in use or
    can't be written.
    """

    def __init__(self, path: Path, *, max_events: int = MAX_EVENTS, max_age_seconds: float = MAX_AGE_SECONDS) -> None:
        self._path = path.absolute()
        self._max_events = max_events
        self._max_age = max_age_seconds
        self._prune_rows = min(_PRUNE_ROWS, max_events // 10)
        self._sweep_due = 0.0
        self._look_due = 0.0
        self._closed = False
        self._write_lock = native.allocate_lock()  # protects the writing connection and what it knows
        self._read_lock = native.allocate_lock()  # protects the reading connection
        self._held = JournalLock(self._path)
        try:
            self._open()
        except BaseException:
            self._held.close()
            raise
        self._file = file_identity(self._path)

    def _open(self) -> None:
        with self._told():
            self._writer = open_writer(self._path)
        try:
            with self._told():
                self._reader = open_reader(self._path)
            try:
                with self._told():
                    inbox.install(self._writer)
                    self._load()
                    self.lineage = begin_generation(self._writer, self.newest)
                    self._search = FileSearch(self._path)
            except BaseException:
                self._reader.close()
                raise
        except BaseException:
            self._writer.close()
            raise

    def _load(self) -> Books:
        newest = self._writer.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        (oldest,) = self._writer.execute("SELECT min(position) FROM events").fetchone()
        (file,) = self._writer.execute(
            "SELECT max(position) FROM files"
        ).fetchone()  # it may stand behind the last event
        self.newest: int = max(0 if newest is None else newest[0], file or 0)
        self._floor: int = self.newest if oldest is None else oldest - 1
        self._books: Books | None = load_books(self._writer)
        return self._books

    def append(self, events: Sequence[Event]) -> list[Entry]:
        """Keep the events, all or none; on return they outlive the process, whatever ends it."""
        if not events:
            return []
        with self._writing() as db:
            self._see_that_it_is_there()
            books = self._books or self._load()
            self._books = None  # until it is known that what they note was written
            entries, rows, newest = self._number(events, books)
            rows += [*books.take(), *self._prune(newest, newest - self.newest)]
            is_due = time.monotonic() >= self._sweep_due
            with transaction(db) if is_due else nullcontext():
                inbox.put(db, rows)
                if is_due:
                    self._sweep(db, newest)
            self.newest, self._books = newest, books
            return entries

    def _see_that_it_is_there(self) -> None:
        """SQLite goes on writing to a file that was removed, and all of it would be gone at the next start."""
        if time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + LOOK_SECONDS
            if file_identity(self._path) != self._file:
                raise JournalError(f"{self._path} was removed or replaced while it was in use")

    def _number(self, events: Sequence[Event], books: Books) -> tuple[list[Entry], list[inbox.Row], int]:
        """Return the entries, what is to be written of them, and the last position that they take."""
        entries: list[Entry] = []
        rows: list[inbox.Row] = []
        position = self.newest
        for event in events:
            position += event.numbered
            entry = Entry(position, event)
            entries.append(entry)
            last = books.note(event, position)
            if event.numbered:
                name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, _, _ = event
                spaces = " ".join(namespaces)
                row = (position, at, name, spaces, pipeline_id, pipeline_type, epoch, seq, entry.text)
                rows.append((inbox.EVENT, *row))
            position = last
        return entries, rows, position

    def _prune(self, newest: int, added: int) -> list[inbox.Row]:
        """Return the row that removes the events that are too many, not many more than were added."""
        if newest - self._floor <= self._max_events:
            return []
        furthest = self._floor + 2 * added + self._prune_rows + 1
        return [self._raise_floor(min(newest, furthest, newest - self._max_events + self._prune_rows))]

    def _sweep(self, db: sqlite3.Connection, newest: int) -> None:
        """Remove the events and deleted files that are too old, a bounded number of each; in a transaction."""
        before, most = time.time() - self._max_age, self._floor + SWEEP_EVENTS
        young = "SELECT min(position) FROM events WHERE position <= ? AND at >= ?"
        (first,) = db.execute(young, (most, before)).fetchone()
        floor = min(newest, most) if first is None else first - 1
        if floor > self._floor:
            inbox.put(db, [self._raise_floor(floor)])
        if not sweep_files(db, before) and floor < most:
            self._sweep_due = time.monotonic() + SWEEP_SECONDS

    def _raise_floor(self, floor: int) -> inbox.Row:
        # Ahead of the commit: who reads, then asks whether the journal reaches back that far, misses nothing.
        self._floor = floor
        return inbox.PRUNE, floor

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        return self._floor <= position <= self.newest

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        if namespace is not None and (not namespace or " " in namespace):
            return []
        # Not past the newest: what is committed but not yet counted is not there for reaches() either.
        values = (min(after, MAX_INTEGER), self.newest, namespace, namespace, max(0, min(limit, MAX_INTEGER)))
        query = (
            "SELECT position, name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, text FROM events"
            " WHERE position > ? AND position <= ?"
            " AND (? IS NULL OR instr(' ' || namespaces || ' ', ' ' || ? || ' ') > 0) ORDER BY position LIMIT ?"
        )
        with self._reading() as db, suppress(UnicodeEncodeError):  # no namespace is called that
            return [decoded(_entry, *row) for row in db.execute(query, values)]
        return []

    def saved(self) -> Mapping[str, SavedState]:
        """Return what each pipeline goes on from, by its id."""
        with self._reading() as db, transaction(db, "BEGIN"):  # so that all of it is of one moment
            return saved_states(db)

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        with self._told(), suppress(UnicodeEncodeError):  # of what is asked for: nothing kept has it
            return self._search.files(query)
        return []

    def newest_statuses(self) -> Mapping[tuple[str, str], int]:
        """Return the position of the newest ``pipeline:status`` of each pipeline in each namespace."""
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

    def is_whole(self) -> bool:
        """Return whether its files are all there are: no events were ever dropped on the way to it."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM gaps LIMIT 1").fetchone() is None

    def size(self) -> Mapping[str, Any]:
        """Return how many events are kept, and the bytes on disk."""
        paths = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        total = 0
        for path in paths:
            with suppress(OSError):
                total += path.stat().st_size
        return {"kind": "sqlite", "events": max(0, self.newest - self._floor), "bytes": total}

    def close(self) -> None:
        """Write everything to the main file, close it and let another process have it; idempotent."""
        self._search.close()
        with self._write_lock, self._read_lock:
            if self._closed:
                return
            self._closed = True
            # The writer last: it is the one that may write to the main file what is still in the log.
            for db in (self._reader, self._writer):
                with suppress(sqlite3.Error):
                    db.close()
            self._held.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, self._told():
            yield self._writer

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, self._told():
            yield self._reader

    @contextmanager
    def _told(self) -> Iterator[None]:
        if self._closed:
            raise JournalError(f"the journal {self._path} is closed")
        try:
            yield
        except (sqlite3.Error, StoredDataError) as error:
            if (told := broken(self._path, error)) is None:
                raise
            raise told from error


def _entry(position: int, *row: Any) -> Entry:
    name, namespaces, pipeline_id, pipeline_type, epoch, seq, at, text = row
    body = StoredBody(text)
    return Entry(
        position, Event(name, tuple(namespaces.split()), pipeline_id, pipeline_type, epoch, seq, at, body), text
    )
