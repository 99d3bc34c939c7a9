"""What to do next: a pure function of what is known, what a look found and what time it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from rag_pipeline.sources.following.order import Order
from rag_pipeline.sources.following.source import Found, FoundFile, Oddity
from rag_pipeline.sources.following.stability import Settling
from rag_pipeline.sources.ledger import Outcome, Row


class Plan(NamedTuple):
    """The work a look gives.

    work: files to ingest, in the order of their ids, those that failed before last, and all that people asked for.
    waiting: files that are still being written; ``wake_seconds`` is when to look again because of them or of a file
    that is due for another try, None for no such need.
    notes: oddities that are new or not as they were.
    gone: what is known, or still to be reported, and is no longer there.
    """

    work: list[FoundFile]
    waiting: list[FoundFile]
    wake_seconds: float | None
    notes: list[Oddity]
    gone: list[str]


def plan(
    known: Mapping[str, Row],
    found: Found,
    settling: Settling,
    order: Order,
    *,
    busy: Collection[str],
    unended: Collection[str],
    wall: float,
    mono: float,
    steady: float | None = None,
) -> Plan:
    """Compare what was found with what is known; files in ``busy`` are being worked on and are left for the next look.

    What is ``unended`` and not busy has to come to an end whatever is known of it: it was put back, or the status does
    not show what became of it. A file under a new name is work too, if not much: search shows the name.

    ``wall`` is compared with times of files, ``steady`` (by default the same) with those of tries.
    """
    steady = wall if steady is None else steady
    fresh: list[FoundFile] = []
    again: list[FoundFile] = []
    waiting: list[FoundFile] = []
    wakes: list[float] = []
    for file in found.files.values():
        if file.file_id in busy:
            continue
        row = known.get(file.file_id)
        if row is not None and _is_as_known(file, row) and file.file_id not in unended:
            if row.retry_at is None:
                continue
            if row.retry_at <= steady:
                again.append(file)
            else:
                wakes.append(row.retry_at - steady)
            continue
        wait = settling.wait_for(file, wall=wall, mono=mono)
        if wait > 0:
            waiting.append(file)
            wakes.append(wait)
        else:
            fresh.append(file)
    settling.keep({file.file_id for file in waiting})
    order.keep(found.files)
    odd = (odd for odd in found.oddities.values() if odd.file_id not in busy)
    return Plan(
        work=order.sort(sorted(fresh, key=_by_id) + sorted(again, key=_by_id)),
        waiting=waiting,
        wake_seconds=min(wakes, default=None),
        notes=[one for one in odd if one.file_id in unended or _is_news(one, known)],
        gone=_missing(known, found, busy, unended),
    )


def is_renamed(file: FoundFile, row: Row) -> bool:
    """Return whether the file has another name than when it was last dealt with."""
    return row.name is not None and row.name != file.name


def keeps_type(file: FoundFile, row: Row) -> bool:
    """Return whether the new name says the same of the file's type as the old one, so that it is read the same way."""
    return PurePosixPath(file.name).suffix.lower() == PurePosixPath(row.name or "").suffix.lower()


def all_gone(known: Mapping[str, Row], found: Found) -> bool:
    """Return whether files are known and nothing at all was found."""
    return not found.files and not found.oddities and any(row.outcome is not Outcome.ODD for row in known.values())


def _is_as_known(file: FoundFile, row: Row) -> bool:
    return row.version == file.version and not is_renamed(file, row)


def _by_id(file: FoundFile) -> str:
    return file.file_id


def _is_news(odd: Oddity, known: Mapping[str, Row]) -> bool:
    row = known.get(odd.file_id)
    return row is None or row.version != odd.version or row.outcome is not Outcome.ODD


def _missing(known: Mapping[str, Row], found: Found, busy: Collection[str], unended: Collection[str]) -> list[str]:
    return [
        key
        for key in [*known, *(key for key in unended if key not in known)]
        if key not in found.files and key not in found.oddities and key not in busy and not found.unknown(key)
    ]
