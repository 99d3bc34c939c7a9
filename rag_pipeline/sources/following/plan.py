"""Compares a snapshot with the known rows and plans the work: a pure function."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from rag_pipeline.sources.following.priorities import Priorities
from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.ledger import LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable


class WorkPlan(NamedTuple):
    """The work that a scan gives.

    ingest: files to ingest: sorted by id, retries after new ones, then by priority.
    waiting: files that are still being written.
    wake_seconds: time until a waiting file or a retry is due; None if there is none.
    unreadable: entries to report, because they are new or have changed.
    missing: ids that are known, or still to be reported, and were not found.
    """

    ingest: list[FoundFile]
    waiting: list[FoundFile]
    wake_seconds: float | None
    unreadable: list[Unreadable]
    missing: list[str]


def make_plan(
    rows: Mapping[str, LedgerRow],
    snapshot: Snapshot,
    stability: StabilityCheck,
    priorities: Priorities,
    *,
    busy: Collection[str],
    unfinished: Collection[str],
    wall: float,
    mono: float,
    steady: float | None = None,
) -> WorkPlan:
    """Compare the snapshot with the rows; ``busy`` files are left for the next scan.

    ``unfinished`` files are ingested again whatever their row says: they were put back, or the status does not show
    their outcome. A renamed file is work too, if little, because search results show the name.

    ``wall`` is compared with modification times, ``steady`` (default: ``wall``) with the times of retries.
    """
    steady = wall if steady is None else steady
    new: list[FoundFile] = []
    retries: list[FoundFile] = []
    waiting: list[FoundFile] = []
    wakes: list[float] = []
    for file in snapshot.files.values():
        if file.file_id in busy:
            continue
        row = rows.get(file.file_id)
        if row is not None and _is_unchanged(file, row) and file.file_id not in unfinished:
            if row.retry_at is None:
                continue
            if row.retry_at <= steady:
                retries.append(file)
            else:
                wakes.append(row.retry_at - steady)
            continue
        wait = stability.wait_for(file, wall=wall, mono=mono)
        if wait > 0:
            waiting.append(file)
            wakes.append(wait)
        else:
            new.append(file)
    stability.keep({file.file_id for file in waiting})
    priorities.keep(snapshot.files)
    entries = (entry for entry in snapshot.unreadable.values() if entry.file_id not in busy)
    return WorkPlan(
        ingest=priorities.sort(sorted(new, key=_by_id) + sorted(retries, key=_by_id)),
        waiting=waiting,
        wake_seconds=min(wakes, default=None),
        unreadable=[entry for entry in entries if entry.file_id in unfinished or _is_news(entry, rows)],
        missing=_missing(rows, snapshot, busy, unfinished),
    )


def is_renamed(file: FoundFile, row: LedgerRow) -> bool:
    """Return whether the file's name has changed."""
    return row.name is not None and row.name != file.name


def keeps_type(file: FoundFile, row: LedgerRow) -> bool:
    """Return whether the new name has the old suffix, so that the file is extracted in the same way."""
    return PurePosixPath(file.name).suffix.lower() == PurePosixPath(row.name or "").suffix.lower()


def all_missing(rows: Mapping[str, LedgerRow], snapshot: Snapshot) -> bool:
    """Return whether files are known and nothing at all was found."""
    if snapshot.files or snapshot.unreadable:
        return False
    return any(row.outcome is not Outcome.UNREADABLE for row in rows.values())


def _is_unchanged(file: FoundFile, row: LedgerRow) -> bool:
    return row.version == file.version and not is_renamed(file, row)


def _by_id(file: FoundFile) -> str:
    return file.file_id


def _is_news(entry: Unreadable, rows: Mapping[str, LedgerRow]) -> bool:
    row = rows.get(entry.file_id)
    return row is None or row.version != entry.version or row.outcome is not Outcome.UNREADABLE


def _missing(
    rows: Mapping[str, LedgerRow], snapshot: Snapshot, busy: Collection[str], unfinished: Collection[str]
) -> list[str]:
    return [
        key
        for key in [*rows, *(key for key in unfinished if key not in rows)]
        if key not in snapshot.files
        and key not in snapshot.unreadable
        and key not in busy
        and not snapshot.may_exist(key)
    ]
