"""The ledger: what became of each file, kept over restarts in one SQLite file.

The vector store is the truth about what is stored. It is written first, the ledger after it, and at the start the two
are reconciled, so that a process killed at any moment leaves no file stored twice, lost or done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Self

from rag_pipeline.pipelines.database import Database

FILE_NAME = "ledger.sqlite3"

_SCHEMA = """
CREATE TABLE files (
    scope TEXT NOT NULL, file_id TEXT NOT NULL, version TEXT, outcome TEXT NOT NULL, fingerprint TEXT, recipe TEXT,
    attempts INTEGER NOT NULL, reason TEXT, retry_at REAL, changed_at REAL NOT NULL, PRIMARY KEY (scope, file_id)
) WITHOUT ROWID;
CREATE TABLE sources (scope TEXT PRIMARY KEY, place TEXT NOT NULL, identity TEXT NOT NULL) WITHOUT ROWID;
"""
# What each version adds to the one before.
_STEPS = (_SCHEMA, "ALTER TABLE files ADD COLUMN name TEXT;")
SCHEMA_VERSION = len(_STEPS)
_COLUMNS = "version, outcome, fingerprint, recipe, attempts, reason, retry_at, name"
_PUT = f"INSERT OR REPLACE INTO files (scope, file_id, {_COLUMNS}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Outcome(StrEnum):
    """What became of a file; ``odd`` is something that isn't a file to begin with, such as a broken link."""

    STORED = "stored"
    SKIPPED = "skipped"
    FAILED = "failed"
    ODD = "odd"


class Row(NamedTuple):
    """One file as it was last dealt with.

    version: changes whenever the content may have; None if it has to be looked at again.
    fingerprint: hash of content and recipe, as the store has it; None if it was not computed.
    recipe: what the text was read, cut and embedded with.
    attempts: how often it failed in a row. ``retry_at`` is wall-clock seconds; None for no other try before a change
    or a restart.
    reason: why it was skipped or failed.
    name: what people read; None if it was not kept, as in older ledgers.
    """

    version: str | None
    outcome: Outcome
    fingerprint: str | None = None
    recipe: str | None = None
    attempts: int = 0
    reason: str | None = None
    retry_at: float | None = None
    name: str | None = None


class Source(NamedTuple):
    """What a scope reads from: the place people know, and an identity that tells it from another at that place."""

    place: str
    identity: str


class Ledger:
    """The rows of one scope (a pipeline and its source); safe to call from several threads.

    Raises :class:`~rag_pipeline.errors.StateError` if the file is damaged, of a newer version or can't be written.
    """

    def __init__(self, folder: Path, scope: str) -> None:
        self.folder = folder
        self._scope = scope
        rebuilt = "what is stored is found again without embedding it anew"
        self._db = Database(folder / FILE_NAME, _STEPS, rebuilt=rebuilt)

    def rows(self) -> dict[str, Row]:
        """Return all rows, by file id."""
        found = self._db.run(f"SELECT file_id, {_COLUMNS} FROM files WHERE scope = ? ORDER BY file_id", (self._scope,))
        return {key: Row(version, Outcome(outcome), *rest) for key, version, outcome, *rest in found}

    def put(self, file_id: str, row: Row) -> None:
        """Set the row of a file."""
        values = (self._scope, file_id, *row, time.time())
        self._db.run(_PUT, values)

    def remove(self, file_id: str) -> None:
        """Forget a file; no error if it isn't known."""
        self._db.run("DELETE FROM files WHERE scope = ? AND file_id = ?", (self._scope, file_id))

    def reset(self, rows: Mapping[str, Row]) -> None:
        """Replace all rows at once."""
        with self._db.transaction():
            self._db.run("DELETE FROM files WHERE scope = ?", (self._scope,))
            now = time.time()
            self._db.run_many(_PUT, ((self._scope, key, *row, now) for key, row in rows.items()))

    def source(self) -> Source | None:
        """Return what this scope read from so far."""
        found = self._db.run("SELECT place, identity FROM sources WHERE scope = ?", (self._scope,))
        return Source(*found[0]) if found else None

    def set_source(self, source: Source) -> None:
        """Remember what this scope reads from."""
        self._db.run("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", (self._scope, *source))

    def close(self) -> None:
        """Write everything to the main file and close it; idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reconcile(rows: Mapping[str, Row], stored: Mapping[str, str], recipe: str) -> dict[str, Row]:
    """Return the rows to start with, from those of the last run and the fingerprints in the store; pure.

    What the store has and the ledger doesn't (killed between the two) is adopted; what the ledger takes for stored and
    the store doesn't have is done again; so is what another recipe made, and what should have left the
    store and has not. What failed gets another try.
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
            row = row._replace(retry_at=0.0)
        result[key] = row
    for key, fingerprint in stored.items():
        known = result.get(key)
        if known is None or (known.outcome is Outcome.STORED and known.fingerprint != fingerprint):
            result[key] = Row(None, Outcome.STORED, fingerprint, recipe)
    return result


def recipe_of(**parts: object) -> str:
    """Return a short text that stands for everything that decides what becomes of a given content."""
    return blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()
