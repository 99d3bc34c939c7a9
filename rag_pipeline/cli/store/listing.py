"""``store list``: what is stored, by pipeline, and whether the pipeline is still there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rag_pipeline.cli.store.ledger_reader import KnownPipeline
from rag_pipeline.common.printing import printable
from rag_pipeline.ingest.types import StoredPipeline

_HEADER = ("PIPELINE", "FILES", "CHUNKS", "LAST CHANGE", "SOURCE")
_NUMBERS = (1, 2)


class Entry(NamedTuple):
    """One pipeline.

    changed_at: when a file of it was last written, in seconds since 1970.
    source: the place that it reads, as the ledger knows it. ``folder_exists`` is None where that can't be told.
    remark: what people should know; empty for a pipeline in order.
    """

    pipeline_id: str
    files: int
    chunks: int
    changed_at: float | None
    source: str | None
    in_ledger: bool
    folder_exists: bool | None
    held_by: str | None
    remark: str

    def as_json(self) -> dict[str, Any]:
        """Return it as an object of JSON; the time in ISO 8601, UTC."""
        when = self.changed_at
        told = {"id": self.pipeline_id, **self._asdict()}
        told["changed_at"] = None if when is None else datetime.fromtimestamp(when, UTC).isoformat()
        del told["pipeline_id"]
        return told


def overview(
    stored: Mapping[str, StoredPipeline], known: Mapping[str, KnownPipeline], is_there: Callable[[str], bool | None]
) -> list[Entry]:
    """Return an entry for each pipeline of the store or the ledger, in the order of their ids.

    ``is_there`` says whether a source exists.
    """
    return [_entry(name, stored, known, is_there) for name in sorted({*stored, *known})]


def as_table(entries: Sequence[Entry]) -> str:
    """Return the entries for people; a remark stands on a line of its own, below what it is about."""
    rows = [_HEADER, *(_cells(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(_HEADER, widths)]
    for entry, row in zip(entries, rows[1:], strict=True):
        lines.append(_line(row, widths))
        if entry.remark:
            lines.append(f"  {printable(entry.remark)}")
    return "\n".join(lines)


def _entry(
    name: str,
    stored: Mapping[str, StoredPipeline],
    known: Mapping[str, KnownPipeline],
    is_there: Callable[[str], bool | None],
) -> Entry:
    held, about = stored.get(name, StoredPipeline(0, 0)), known.get(name)
    source = about.source.location if about is not None and about.source is not None else None
    changes = [when for when in (held.changed_at, about and about.changed_at) if when is not None]
    there = None if source is None else is_there(source)
    return Entry(
        name,
        held.files,
        held.chunks,
        max(changes, default=None),
        source,
        about is not None,
        there,
        held.held_by,
        _remark(name, held, about, source, there, known),
    )


def _remark(
    name: str,
    held: StoredPipeline,
    about: KnownPipeline | None,
    source: str | None,
    there: bool | None,
    known: Mapping[str, KnownPipeline],
) -> str:
    remarks = []
    if about is None:
        remarks.append("not in the ledger of this state folder")
    elif not held.files and not held.chunks:
        remarks.append("in the ledger only: nothing is stored")
    if there is False:
        remarks.append("its folder is gone")
    same = [
        key for key, one in known.items() if key != name and one.source is not None and one.source.location == source
    ]
    if same:
        remarks.append(f"its source is followed as {', '.join(sorted(same))} too")
    if held.held_by is not None:
        remarks.append(f"run by {held.held_by}")
    return "; ".join(remarks)


def _cells(entry: Entry) -> tuple[str, ...]:
    when = "-"
    if entry.changed_at is not None:
        when = datetime.fromtimestamp(entry.changed_at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    source = "-" if entry.source is None else printable(entry.source)
    return printable(entry.pipeline_id), str(entry.files), str(entry.chunks), when, source


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(w) if n in _NUMBERS else cell.ljust(w) for n, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
