"""The ledger: the outcome of each file, kept over restarts in one SQLite file.

The vector store is the truth about what is stored. It is written first, then the ledger, then the status. At the start
:func:`reconcile` compares ledger and store, so a process killed at any moment stores no file twice, loses none and
repeats none. The ledger also keeps the position in the pipeline's events at which each outcome, or deletion, was
reported, so that the next start knows which reports the journal has lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

from rag_pipeline.sources.database import Database

FILE_NAME = "ledger.sqlite3"

_SCHEMA = """
CREATE TABLE files (
    scope TEXT NOT NULL, file_id TEXT NOT NULL, version TEXT, outcome TEXT NOT NULL, fingerprint TEXT, recipe TEXT,
    attempts INTEGER NOT NULL, reason TEXT, retry_at REAL, changed_at REAL NOT NULL, PRIMARY KEY (scope, file_id)
) WITHOUT ROWID;
CREATE TABLE sources (scope TEXT PRIMARY KEY, place TEXT NOT NULL, identity TEXT NOT NULL) WITHOUT ROWID;
"""
# The statements that each schema version adds.
_STEPS = (
    _SCHEMA,
    "ALTER TABLE files ADD COLUMN name TEXT;",
    """
    ALTER TABLE files ADD COLUMN epoch TEXT;
    ALTER TABLE files ADD COLUMN seq INTEGER;
    UPDATE files SET epoch = '';
    CREATE TABLE deletions (
        scope TEXT NOT NULL, file_id TEXT NOT NULL, name TEXT NOT NULL, epoch TEXT, seq INTEGER,
        PRIMARY KEY (scope, file_id)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE under_way (
        scope TEXT NOT NULL, file_id TEXT NOT NULL, version TEXT NOT NULL, deaths INTEGER NOT NULL,
        begun INTEGER NOT NULL, PRIMARY KEY (scope, file_id)
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE files ADD COLUMN overran INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE files ADD COLUMN verdict TEXT;",
)
SCHEMA_VERSION = len(_STEPS)
_COLUMNS = "version, outcome, fingerprint, recipe, attempts, reason, retry_at, name, overran, verdict"
_INTO = f"INTO files (scope, file_id, {_COLUMNS}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# _PUT clears the position of the report, because the outcome is new; _AMEND keeps it.
_PUT = f"INSERT OR REPLACE {_INTO}"
_AMEND = f"INSERT {_INTO} ON CONFLICT DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in _COLUMNS.split(", "))
# A name that equals the id is a placeholder: it does not replace a real one.
_ADD_DELETION = """INSERT INTO deletions VALUES (?, ?, ?, NULL, NULL) ON CONFLICT DO UPDATE
    SET epoch = NULL, name = iif(excluded.name = file_id, name, excluded.name)"""
_IN_JOURNAL = ""
"""The ``epoch`` of a report that the journal is known to have; NULL means that the outcome is not reported yet."""

OVERRUN_RETRY_SECONDS = 24 * 3600.0
"""Time until a file that overran is tried again, over restarts too."""
PRUNE_AFTER = 10_000
JOURNAL_LAG_EVENTS = 100_000
"""A working journal has written everything older than this; ten times what one may have queued."""


class Outcome(StrEnum):
    """The outcome of a file; UNREADABLE is an entry that is no file, such as a broken link."""

    STORED = "stored"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNREADABLE = "odd"


class LedgerRow(NamedTuple):
    """One file's last outcome.

    version: changes whenever the content may have changed; None if the file must be ingested again.
    fingerprint: hash of the content and the configuration, for stored text or a lasting refusal; else None.
    config_hash: stands for how the text was extracted, chunked and embedded.
    attempts: failures in a row.
    retry_at: seconds since 1970 by the steady clock; after a restart a retry is due at once, except after an overrun,
    see :func:`reconcile`. None: retried only after a change or a restart.
    reason: why the file was skipped or failed.
    name: shown to people; None in rows of older ledgers.
    overran: extraction used up its time limit, so the file is retried rarely, and alone.
    verdict: on the text that is stored, see :class:`~rag_pipeline.sources.verdict.Verdict`; None if it is unknown.
    """

    version: str | None
    outcome: Outcome
    fingerprint: str | None = None
    config_hash: str | None = None
    attempts: int = 0
    reason: str | None = None
    retry_at: float | None = None
    name: str | None = None
    overran: bool = False
    verdict: str | None = None


class SourceRecord(NamedTuple):
    """The source of a collection: its location, and an identity that tells it from another at that location."""

    location: str
    identity: str


class EventPosition(NamedTuple):
    """A position in the pipeline's events; everything reported before is at or below it."""

    epoch: str
    seq: int


class CrashCount(NamedTuple):
    """Number of times that the process died while this version of a file was ingested."""

    version: str
    crashes: int


class Ledger:
    """The rows of one collection; thread-safe.

    Raises :class:`~rag_pipeline.errors.StateError` if the file is damaged, from a newer version or not writable.
    """

    def __init__(self, folder: Path, collection: str) -> None:
        self.folder = folder
        self._collection = collection
        self._deletions = 0  # since the last pruning
        rebuilt = "what is stored is found again without embedding it anew"
        self._db = Database(folder / FILE_NAME, _STEPS, rebuilt=rebuilt)

    def rows(self) -> dict[str, LedgerRow]:
        """Return all rows, by file id."""
        rows = self._db.run(
            f"SELECT file_id, {_COLUMNS} FROM files WHERE scope = ? ORDER BY file_id", (self._collection,)
        )
        return {key: _row_of(*values) for key, *values in rows}

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything in the block, or nothing."""
        return self._db.transaction()

    def put(self, file_id: str, row: LedgerRow) -> None:
        """Set the row of a file; its outcome counts as not reported."""
        self._db.run(_PUT, (self._collection, file_id, *row, time.time()))

    def remove(self, file_id: str, name: str) -> None:
        """Remove a file, known or not; its deletion counts as not reported."""
        with self._db.transaction():
            self._db.run("DELETE FROM files WHERE scope = ? AND file_id = ?", (self._collection, file_id))
            self._db.run(
                "INSERT OR REPLACE INTO deletions VALUES (?, ?, ?, NULL, NULL)", (self._collection, file_id, name)
            )

    def replace_all(self, rows: Mapping[str, LedgerRow]) -> None:
        """Replace all rows; those that stay keep the position of their report."""
        with self._db.transaction():
            before, now = self.rows(), time.time()
            for key, row in before.items():
                if key not in rows:
                    self.remove(key, row.name or key)
            changed = ((self._collection, key, *row, now) for key, row in rows.items() if before.get(key) != row)
            self._db.run_many(_AMEND, changed)

    def mark_reported(self, file_id: str, at: EventPosition) -> None:
        """Record the position at which a file's outcome was reported."""
        self._db.run(
            "UPDATE files SET epoch = ?, seq = ? WHERE scope = ? AND file_id = ?", (*at, self._collection, file_id)
        )

    def mark_deletion_reported(self, file_id: str, at: EventPosition) -> None:
        """Record the position at which a file's deletion was reported; prunes old deletions now and then."""
        self._db.run(
            "UPDATE deletions SET epoch = ?, seq = ? WHERE scope = ? AND file_id = ?", (*at, self._collection, file_id)
        )
        self._deletions += 1
        if self._deletions % PRUNE_AFTER == 0:
            self._db.run(
                "DELETE FROM deletions WHERE scope = ? AND seq < ?", (self._collection, at.seq - JOURNAL_LAG_EVENTS)
            )

    def find_unreported(self, last_kept: EventPosition | None, also: Mapping[str, str]) -> dict[str, str]:
        """Return the names, by id, of the files whose outcome or deletion the status does not show.

        Called once, at the start. ``last_kept`` is the last event of the previous process in the journal; None means
        that the journal has nothing, so every report may be lost. ``also`` names, by id, further files that the status
        shows wrongly. All returned files stay unreported, over restarts, until they are reported.
        """
        in_journal, values = ("epoch != ''", ()) if last_kept is None else ("epoch = ? AND seq <= ?", last_kept)
        collection = (self._collection,)
        with self._db.transaction():
            self._db.run(
                f"UPDATE files SET epoch = '{_IN_JOURNAL}' WHERE scope = ? AND {in_journal}", (*collection, *values)
            )
            self._db.run(f"DELETE FROM deletions WHERE scope = ? AND {in_journal}", (*collection, *values))
            for key, name in also.items():
                self._db.run("UPDATE files SET epoch = NULL WHERE scope = ? AND file_id = ?", (*collection, key))
                self._db.run(_ADD_DELETION, (*collection, key, name))
            # A file with a row is back, or was never gone.
            self._db.run(
                "DELETE FROM deletions WHERE scope = ? AND file_id IN (SELECT file_id FROM files WHERE scope = ?)",
                collection * 2,
            )
            # Sequence numbers of lost events are used again: the next start must not mix them up.
            for table in ("files", "deletions"):
                self._db.run(
                    f"UPDATE {table} SET epoch = NULL WHERE scope = ? AND epoch != '{_IN_JOURNAL}'", collection
                )
            unreported = self._db.run(
                """SELECT file_id, name FROM deletions WHERE scope = ?
                UNION ALL SELECT file_id, name FROM files WHERE scope = ? AND epoch IS NULL""",
                collection * 2,
            )
        return {key: name or key for key, name in unreported}

    def count_crashes(self) -> dict[str, CrashCount]:
        """Count a crash for each file that was in work when the last process died; return all counts, by file id.

        Called once, at the start.
        """
        collection = (self._collection,)
        with self._db.transaction():
            self._db.run("UPDATE under_way SET deaths = deaths + 1, begun = 0 WHERE scope = ? AND begun", collection)
            counts = self._db.run("SELECT file_id, version, deaths FROM under_way WHERE scope = ?", collection)
        return {key: CrashCount(version, crashes) for key, version, crashes in counts}

    def mark_started(self, file_id: str, version: str, crashes: int) -> None:
        """Record that the work on a file starts: if the process dies now, that counts as a crash."""
        self._db.run(
            "INSERT OR REPLACE INTO under_way VALUES (?, ?, ?, ?, 1)", (self._collection, file_id, version, crashes)
        )

    def mark_ended(self, file_id: str) -> None:
        """Record that the work on a file ended without a crash; earlier crashes stay counted."""
        values = (self._collection, file_id)
        with self._db.transaction():
            self._db.run("UPDATE under_way SET begun = 0 WHERE scope = ? AND file_id = ?", values)
            self._db.run("DELETE FROM under_way WHERE scope = ? AND file_id = ? AND deaths = 0", values)

    def mark_all_ended(self) -> None:
        """Count no crash for the files in work: the process is being stopped."""
        with self._db.transaction():
            self._db.run("UPDATE under_way SET begun = 0 WHERE scope = ?", (self._collection,))
            self._db.run("DELETE FROM under_way WHERE scope = ? AND deaths = 0", (self._collection,))

    def clear_crashes(self, file_id: str) -> None:
        """Forget the crashes of a file."""
        self._db.run("DELETE FROM under_way WHERE scope = ? AND file_id = ?", (self._collection, file_id))

    def source(self) -> SourceRecord | None:
        """Return the source of this collection, if one is recorded."""
        rows = self._db.run("SELECT place, identity FROM sources WHERE scope = ?", (self._collection,))
        return SourceRecord(*rows[0]) if rows else None

    def set_source(self, source: SourceRecord) -> None:
        """Record the source of this collection."""
        self._db.run("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (self._collection, *source))

    def drop(self) -> None:
        """Remove the collection: its files, its deletions and its source."""
        with self._db.transaction():
            for table in ("files", "deletions", "sources"):
                self._db.run(f"DELETE FROM {table} WHERE scope = ?", (self._collection,))

    def close(self) -> None:
        """Write everything to the main file and close it; idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reconcile(
    rows: Mapping[str, LedgerRow], stored: Mapping[str, str], config_hash: str, now: float = 0.0
) -> dict[str, LedgerRow]:
    """Return the rows to start with, from the last run's rows and the store's fingerprints; pure.

    - In the store but not in the ledger (killed between the two writes): adopted.
    - In the ledger but not in the store, made with another configuration, or stored though it should not be: ingested
      again.
    - Failed: retried at once; after an overrun at ``retry_at``, but within :data:`OVERRUN_RETRY_SECONDS` of ``now``
      (steady clock), in case the system's clock has jumped.
    """
    result: dict[str, LedgerRow] = {}
    for key, row in rows.items():
        if row.outcome is Outcome.STORED and stored.get(key) is None:
            continue
        if row.outcome is not Outcome.UNREADABLE and row.config_hash != config_hash:
            row = row._replace(version=None)
        if key in stored and _should_not_be_stored(row):
            row = row._replace(version=None)
        if row.outcome is Outcome.FAILED:
            row = row._replace(retry_at=_retry_time_after_start(row, now))
        result[key] = row
    for key, fingerprint in stored.items():
        row_now = result.get(key)
        if row_now is None or (row_now.outcome is Outcome.STORED and row_now.fingerprint != fingerprint):
            result[key] = LedgerRow(None, Outcome.STORED, fingerprint, config_hash)
    return result


def hash_config(**settings: object) -> str:
    """Return a short hash of all settings that decide what is stored for a given content."""
    return blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


def _row_of(*values: Any) -> LedgerRow:
    row = LedgerRow(*values)
    return row._replace(outcome=Outcome(row.outcome), overran=bool(row.overran))


def _should_not_be_stored(row: LedgerRow) -> bool:
    return row.outcome is Outcome.SKIPPED or (row.outcome is Outcome.UNREADABLE and not row.attempts)


def _retry_time_after_start(row: LedgerRow, now: float) -> float:
    if not row.overran or row.retry_at is None:
        return 0.0
    return min(row.retry_at, now + OVERRUN_RETRY_SECONDS)
