"""What to do next: a pure function of what is known, what a scan found and what time it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from rag_pipeline.pipelines.ledger import Outcome, Row
from rag_pipeline.pipelines.local_files.scan import FoundFile, Oddity, Scan
from rag_pipeline.pipelines.local_files.settle import Settling


class Plan(NamedTuple):
    """The work a scan gives.

    work: files to ingest, in the order of their paths, those that failed before last.
    waiting: files that are still being written; ``wake_seconds`` is when to scan again because of them or of a file
    that is due for another try, None for no such need.
    notes: oddities that are new or not as they were.
    gone: files that are known and are no longer there.
    cleared: oddities that are known and are no longer there.
    """

    work: list[FoundFile]
    waiting: list[FoundFile]
    wake_seconds: float | None
    notes: list[Oddity]
    gone: list[str]
    cleared: list[str]


def plan(
    known: Mapping[str, Row], found: Scan, settling: Settling, *, busy: Collection[str], wall: float, mono: float
) -> Plan:
    """Compare the scan with what is known; files in ``busy`` are being worked on and are left for the next scan."""
    fresh: list[FoundFile] = []
    again: list[FoundFile] = []
    waiting: list[FoundFile] = []
    wakes: list[float] = []
    for file in found.files.values():
        if file.file_id in busy:
            continue
        row = known.get(file.file_id)
        if row is not None and row.version == file.version:
            if row.retry_at is None:
                continue
            if row.retry_at <= wall:
                again.append(file)
            else:
                wakes.append(row.retry_at - wall)
            continue
        wait = settling.wait_for(file, wall=wall, mono=mono)
        if wait > 0:
            waiting.append(file)
            wakes.append(wait)
        else:
            fresh.append(file)
    settling.keep({file.file_id for file in waiting})
    gone, cleared = _missing(known, found, busy)
    return Plan(
        work=sorted(fresh, key=_by_id) + sorted(again, key=_by_id),
        waiting=waiting,
        wake_seconds=min(wakes, default=None),
        notes=[odd for odd in found.oddities.values() if odd.file_id not in busy and _is_news(odd, known)],
        gone=gone,
        cleared=cleared,
    )


def all_gone(known: Mapping[str, Row], found: Scan) -> bool:
    """Return whether files are known and the scan found nothing at all."""
    return not found.files and not found.oddities and any(row.outcome is not Outcome.ODD for row in known.values())


def _by_id(file: FoundFile) -> str:
    return file.file_id


def _is_news(odd: Oddity, known: Mapping[str, Row]) -> bool:
    row = known.get(odd.file_id)
    return row is None or row.version != odd.version or row.outcome is not Outcome.ODD


def _missing(known: Mapping[str, Row], found: Scan, busy: Collection[str]) -> tuple[list[str], list[str]]:
    gone: list[str] = []
    cleared: list[str] = []
    for key, row in known.items():
        if key in found.files or key in found.oddities or key in busy or _below_unknown(key, found.unknown):
            continue
        (cleared if row.outcome is Outcome.ODD else gone).append(key)
    return gone, cleared


def _below_unknown(key: str, unknown: frozenset[str]) -> bool:
    if not unknown:
        return False
    parts = key.split("/")
    return any("/".join(parts[:depth]) in unknown for depth in range(1, len(parts)))
