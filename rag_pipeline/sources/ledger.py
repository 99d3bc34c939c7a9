"""The ledger: what became of each file, kept over restarts in one SQLite file.

The vector store is the truth about what is stored. It is written first, the ledger after it, and at the start the two
are reconciled, so that a process killed at any moment leaves no file stored twice, lost or done again. The status
comes last. The ledger remembers where in the pipeline's events each outcome was reported, deletions too, so that the
next start can tell which reports the journal has lost.
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
# What each version adds to the one before.
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
)
SCHEMA_VERSION = len(_STEPS)
_COLUMNS = "version, outcome, fingerprint, recipe, attempts, reason, retry_at, name, overran"
_INTO = f"INTO files (scope, file_id, {_COLUMNS}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# The first forgets where the outcome was reported, since it is another one. The second leaves it as it is.
_PUT = f"INSERT OR REPLACE {_INTO}"
_AMEND = f"INSERT {_INTO} ON CONFLICT DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in _COLUMNS.split(", "))
# The id is the name where no other is known.
_OWE = """INSERT INTO deletions VALUES (?, ?, ?, NULL, NULL) ON CONFLICT DO UPDATE
    SET epoch = NULL, name = iif(excluded.name = file_id, name, excluded.name)"""
_KEPT = ""
"""The ``epoch`` of a report that a journal is known to have kept; it is NULL until the outcome is reported."""

OVERRUN_RETRY_SECONDS = 24 * 3600.0
"""A file that overran is tried again after so long, over restarts too: until then it costs nothing."""
PRUNE_AFTER = 10_000
JOURNAL_LAG_EVENTS = 100_000
"""A journal that works has long kept what was reported so many events ago; ten times what one may have queued."""


class Outcome(StrEnum):
    """What became of a file; ``odd`` is something that isn't a file to begin with, such as a broken link."""

    STORED = "stored"
    SKIPPED = "skipped"
    FAILED = "failed"
    ODD = "odd"


class Row(NamedTuple):
    """One file as it was last dealt with.

    version: changes whenever the content may have; None if it has to be looked at again.
    fingerprint: hash of content and recipe, of what is stored or refused for good; None if it was not computed.
    recipe: what the text was read, cut and embedded with.
    attempts: how often it failed in a row.
    retry_at: seconds since 1970 by the steady clock of its process; a restart makes it due at once unless it overran,
    see :func:`reconcile`. None for no other try before a change or a restart.
    reason: why it was skipped or failed.
    name: what people read; None if it was not kept, as in older ledgers.
    overran: reading it took up all the time it may take, so that it is tried again seldom, and alone.
    """

    version: str | None
    outcome: Outcome
    fingerprint: str | None = None
    recipe: str | None = None
    attempts: int = 0
    reason: str | None = None
    retry_at: float | None = None
    name: str | None = None
    overran: bool = False


class Source(NamedTuple):
    """What a scope reads from: the place people know, and an identity that tells it from another at that place."""

    place: str
    identity: str


class Reported(NamedTuple):
    """A position in the pipeline's events: what was reported before is at or below it."""

    epoch: str
    seq: int


class Death(NamedTuple):
    """How often the process died during the work on this version of a file."""

    version: str
    deaths: int


class Ledger:
    """The rows of one scope (a pipeline and its source); safe to call from several threads.

    Raises :class:`~rag_pipeline.errors.StateError` if the file is damaged, of a newer version or can't be written.
    """

    def __init__(self, folder: Path, scope: str) -> None:
        self.folder = folder
        self._scope = scope
        self._deletions = 0  # since the old ones were dropped
        rebuilt = "what is stored is found again without embedding it anew"
        self._db = Database(folder / FILE_NAME, _STEPS, rebuilt=rebuilt)

    def rows(self) -> dict[str, Row]:
        """Return all rows, by file id."""
        found = self._db.run(f"SELECT file_id, {_COLUMNS} FROM files WHERE scope = ? ORDER BY file_id", (self._scope,))
        return {key: _row_of(*values) for key, *values in found}

    def batch(self) -> AbstractContextManager[None]:
        """Make what is written in the block one transaction: all of it is kept, or nothing."""
        return self._db.transaction()

    def put(self, file_id: str, row: Row) -> None:
        """Set the row of a file; its outcome is not reported yet."""
        values = (self._scope, file_id, *row, time.time())
        self._db.run(_PUT, values)

    def remove(self, file_id: str, name: str) -> None:
        """Forget a file, known or not; that it is deleted is not reported yet."""
        with self._db.transaction():
            self._db.run("DELETE FROM files WHERE scope = ? AND file_id = ?", (self._scope, file_id))
            self._db.run("INSERT OR REPLACE INTO deletions VALUES (?, ?, ?, NULL, NULL)", (self._scope, file_id, name))

    def reset(self, rows: Mapping[str, Row]) -> None:
        """Replace all rows at once; what was reported of those that stay holds."""
        with self._db.transaction():
            before, now = self.rows(), time.time()
            for key, row in before.items():
                if key not in rows:
                    self.remove(key, row.name or key)
            changed = ((self._scope, key, *row, now) for key, row in rows.items() if before.get(key) != row)
            self._db.run_many(_AMEND, changed)

    def reported(self, file_id: str, at: Reported) -> None:
        """Remember where a file's outcome was reported."""
        self._db.run("UPDATE files SET epoch = ?, seq = ? WHERE scope = ? AND file_id = ?", (*at, self._scope, file_id))

    def reported_deleted(self, file_id: str, at: Reported) -> None:
        """Remember where it was reported that a file is deleted; of very many the oldest are dropped."""
        self._db.run(
            "UPDATE deletions SET epoch = ?, seq = ? WHERE scope = ? AND file_id = ?", (*at, self._scope, file_id)
        )
        self._deletions += 1
        if self._deletions % PRUNE_AFTER == 0:
            self._db.run(
                "DELETE FROM deletions WHERE scope = ? AND seq < ?", (self._scope, at.seq - JOURNAL_LAG_EVENTS)
            )

    def unreported(self, kept: Reported | None, unended: Mapping[str, str]) -> dict[str, str]:
        """Return the names, by id, of the files whose outcome or deletion the status does not show; once, at the start.

        ``kept`` is the last event that the journal has of the process before. With None it has nothing, and what was
        reported counts as lost with the journal. ``unended`` names, by id, what else is shown otherwise than it is. All
        that is returned stays unreported, over any number of starts, until it is reported.
        """
        is_kept, values = ("epoch != ''", ()) if kept is None else ("epoch = ? AND seq <= ?", kept)
        of_scope = (self._scope, *values)
        with self._db.transaction():
            self._db.run(f"UPDATE files SET epoch = '{_KEPT}' WHERE scope = ? AND {is_kept}", of_scope)
            self._db.run(f"DELETE FROM deletions WHERE scope = ? AND {is_kept}", of_scope)
            for key, name in unended.items():
                self._db.run("UPDATE files SET epoch = NULL WHERE scope = ? AND file_id = ?", (self._scope, key))
                self._db.run(_OWE, (self._scope, key, name))
            # A file that has a row is there again, or was never gone.
            of_known = "SELECT file_id FROM files WHERE scope = ?"
            self._db.run(
                f"DELETE FROM deletions WHERE scope = ? AND file_id IN ({of_known})", (self._scope, self._scope)
            )
            # The numbers of lost events are given out again: the next start must not take one for the other.
            for table in ("files", "deletions"):
                self._db.run(f"UPDATE {table} SET epoch = NULL WHERE scope = ? AND epoch != '{_KEPT}'", (self._scope,))
            found = self._db.run(
                """SELECT file_id, name FROM deletions WHERE scope = ?
                UNION ALL SELECT file_id, name FROM files WHERE scope = ? AND epoch IS NULL""",
                (self._scope, self._scope),
            )
        return {key: name or key for key, name in found}

    def take_deaths(self) -> dict[str, Death]:
        """Count the files that were under way when the last process died; return all deaths, by file id.

        Called once, at the start.
        """
        of_scope = (self._scope,)
        with self._db.transaction():
            self._db.run("UPDATE under_way SET deaths = deaths + 1, begun = 0 WHERE scope = ? AND begun", of_scope)
            found = self._db.run("SELECT file_id, version, deaths FROM under_way WHERE scope = ?", of_scope)
        return {key: Death(version, deaths) for key, version, deaths in found}

    def begin(self, file_id: str, version: str, deaths: int) -> None:
        """Remember that the work on a file begins: if the process dies in it, that is counted."""
        self._db.run("INSERT OR REPLACE INTO under_way VALUES (?, ?, ?, ?, 1)", (self._scope, file_id, version, deaths))

    def leave(self, file_id: str) -> None:
        """Remember that a file was left where it was; deaths that were counted stay."""
        with self._db.transaction():
            self._db.run("UPDATE under_way SET begun = 0 WHERE scope = ? AND file_id = ?", (self._scope, file_id))
            self._db.run("DELETE FROM under_way WHERE scope = ? AND file_id = ? AND deaths = 0", (self._scope, file_id))

    def excuse(self) -> None:
        """Count no death for what is under way: the process is being stopped."""
        with self._db.transaction():
            self._db.run("UPDATE under_way SET begun = 0 WHERE scope = ?", (self._scope,))
            self._db.run("DELETE FROM under_way WHERE scope = ? AND deaths = 0", (self._scope,))

    def forget_deaths(self, file_id: str) -> None:
        """Forget the deaths of a file: the work on it has come to an end."""
        self._db.run("DELETE FROM under_way WHERE scope = ? AND file_id = ?", (self._scope, file_id))

    def source(self) -> Source | None:
        """Return what this scope read from so far."""
        found = self._db.run("SELECT place, identity FROM sources WHERE scope = ?", (self._scope,))
        return Source(*found[0]) if found else None

    def set_source(self, source: Source) -> None:
        """Remember what this scope reads from."""
        self._db.run("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (self._scope, *source))

    def drop(self) -> None:
        """Forget the scope: its files, its deletions, and what it read from."""
        with self._db.transaction():
            for table in ("files", "deletions", "sources"):
                self._db.run(f"DELETE FROM {table} WHERE scope = ?", (self._scope,))

    def close(self) -> None:
        """Write everything to the main file and close it; idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reconcile(rows: Mapping[str, Row], stored: Mapping[str, str], recipe: str, now: float = 0.0) -> dict[str, Row]:
    """Return the rows to start with, from those of the last run and the fingerprints in the store; pure.

    What the store has and the ledger doesn't (killed between the two) is adopted; what the ledger takes for stored and
    the store doesn't have is done again; so is what another recipe made, and what should have left the
    store and has not. What failed gets another try; one that overran when it is due by ``now``, the steady clock, and
    within :data:`OVERRUN_RETRY_SECONDS` in any case, whatever became of the clock.
    """
    result: dict[str, Row] = {}
    for key, row in rows.items():
        if row.outcome is Outcome.STORED and stored.get(key) is None:
            continue
        if row.outcome is not Outcome.ODD and row.recipe != recipe:
            row = row._replace(version=None)
        if key in stored and (row.outcome is Outcome.SKIPPED or (row.outcome is Outcome.ODD and not row.attempts)):
            row = row._replace(version=None)
        if row.outcome is Outcome.FAILED:
            row = row._replace(retry_at=_due_after_start(row, now))
        result[key] = row
    for key, fingerprint in stored.items():
        known = result.get(key)
        if known is None or (known.outcome is Outcome.STORED and known.fingerprint != fingerprint):
            result[key] = Row(None, Outcome.STORED, fingerprint, recipe)
    return result


def _row_of(*values: Any) -> Row:
    row = Row(*values)
    return row._replace(outcome=Outcome(row.outcome), overran=bool(row.overran))


def _due_after_start(row: Row, now: float) -> float:
    if not row.overran or row.retry_at is None:
        return 0.0
    return min(row.retry_at, now + OVERRUN_RETRY_SECONDS)


def recipe_of(**parts: object) -> str:
    """Return a short text that stands for everything that decides what becomes of a given content."""
    return blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()
