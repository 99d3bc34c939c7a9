"""Reads the rows of all pipelines from a ledger; read-only, also while a pipeline writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from rag_pipeline.errors import StateError
from rag_pipeline.sources.ledger import FILE_NAME, SCHEMA_VERSION, Outcome, SourceRecord


class LedgerFile(NamedTuple):
    """A file in the ledger; see :class:`rag_pipeline.sources.ledger.LedgerRow`."""

    outcome: Outcome
    fingerprint: str | None
    version: str | None
    attempts: int = 0


class LedgerPipeline(NamedTuple):
    """A pipeline in the ledger; ``changed_at`` is the time of its last row, in seconds since 1970."""

    files: Mapping[str, LedgerFile]
    source: SourceRecord | None = None
    changed_at: float | None = None


def read_ledger(state_dir: Path) -> dict[str, LedgerPipeline]:
    """Return the pipelines of the ledger by id; empty if there is no ledger.

    Raises StateError if the file is damaged or has a newer format.
    """
    path = state_dir.absolute() / FILE_NAME
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)) as db:
            return _read(db, path)
    except sqlite3.Error as error:
        raise StateError(f"{path} can't be read ({error})") from error


def _read(db: sqlite3.Connection, path: Path) -> dict[str, LedgerPipeline]:
    db.execute("BEGIN")  # both tables are read from one snapshot
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StateError(
            f"{path} was written by a newer version of rag-pipeline "
            f"(format {version}, this one knows {SCHEMA_VERSION}): upgrade"
        )
    if version == 0:
        return {}
    sources = {scope: SourceRecord(place, identity) for scope, place, identity in db.execute("SELECT * FROM sources")}
    files: dict[str, dict[str, LedgerFile]] = {scope: {} for scope in sources}
    changed: dict[str, float] = {}
    statement = "SELECT scope, file_id, outcome, fingerprint, version, attempts, changed_at FROM files"
    for scope, file_id, outcome, fingerprint, file_version, attempts, changed_at in db.execute(statement):
        file = LedgerFile(Outcome(outcome), fingerprint, file_version, attempts)
        files.setdefault(scope, {})[file_id] = file
        changed[scope] = max(changed.get(scope, 0.0), changed_at)
    return {scope: LedgerPipeline(rows, sources.get(scope), changed.get(scope)) for scope, rows in files.items()}
