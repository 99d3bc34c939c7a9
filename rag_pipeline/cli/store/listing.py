"""``store list``: what is stored, by pipeline, and whether its folder still exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rag_pipeline.cli.store.ledger_reader import LedgerPipeline
from rag_pipeline.common.printing import printable
from rag_pipeline.ingest.types import StoredPipeline

_HEADER = ("PIPELINE", "FILES", "CHUNKS", "LAST CHANGE", "SOURCE")
_NUMBERS = (1, 2)


class PipelineSummary(NamedTuple):
    """One pipeline in the list.

    changed_at: when one of its files was last written, in seconds since 1970.
    source: the location in the ledger.
    folder_exists: None if the source is not a local folder.
    remark: what is unusual; empty if nothing is.
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
        """Return it as a JSON object; the time is ISO 8601 in UTC."""
        when = self.changed_at
        fields = {"id": self.pipeline_id, **self._asdict()}
        fields["changed_at"] = None if when is None else datetime.fromtimestamp(when, UTC).isoformat()
        del fields["pipeline_id"]
        return fields


def list_pipelines(
    stored: Mapping[str, StoredPipeline], ledger: Mapping[str, LedgerPipeline], is_there: Callable[[str], bool | None]
) -> list[PipelineSummary]:
    """Return each pipeline of the store or the ledger, ordered by id; ``is_there`` returns whether a source exists."""
    return [_summary(name, stored, ledger, is_there) for name in sorted({*stored, *ledger})]


def as_table(pipelines: Sequence[PipelineSummary]) -> str:
    """Return a table for people; a remark is on the line below its pipeline."""
    rows = [_HEADER, *(_cells(pipeline) for pipeline in pipelines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(_HEADER, widths)]
    for pipeline, row in zip(pipelines, rows[1:], strict=True):
        lines.append(_line(row, widths))
        if pipeline.remark:
            lines.append(f"  {printable(pipeline.remark)}")
    return "\n".join(lines)


def _summary(
    name: str,
    stored: Mapping[str, StoredPipeline],
    ledger: Mapping[str, LedgerPipeline],
    is_there: Callable[[str], bool | None],
) -> PipelineSummary:
    in_store, in_ledger = stored.get(name, StoredPipeline(0, 0)), ledger.get(name)
    source = in_ledger.source.location if in_ledger is not None and in_ledger.source is not None else None
    changes = [when for when in (in_store.changed_at, in_ledger and in_ledger.changed_at) if when is not None]
    exists = None if source is None else is_there(source)
    return PipelineSummary(
        name,
        in_store.files,
        in_store.chunks,
        max(changes, default=None),
        source,
        in_ledger is not None,
        exists,
        in_store.held_by,
        _remark(name, in_store, in_ledger, source, exists, ledger),
    )


def _remark(
    name: str,
    in_store: StoredPipeline,
    in_ledger: LedgerPipeline | None,
    source: str | None,
    exists: bool | None,
    ledger: Mapping[str, LedgerPipeline],
) -> str:
    remarks = []
    if in_ledger is None:
        remarks.append("not in the ledger of this state folder")
    elif not in_store.files and not in_store.chunks:
        remarks.append("in the ledger only: nothing is stored")
    if exists is False:
        remarks.append("its folder is gone")
    others = ((key, other.source) for key, other in ledger.items() if key != name)
    same = [key for key, other in others if other is not None and other.location == source]
    if same:
        remarks.append(f"its source is followed as {', '.join(sorted(same))} too")
    if in_store.held_by is not None:
        remarks.append(f"run by {in_store.held_by}")
    return "; ".join(remarks)


def _cells(pipeline: PipelineSummary) -> tuple[str, ...]:
    when = "-"
    if pipeline.changed_at is not None:
        when = datetime.fromtimestamp(pipeline.changed_at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    source = "-" if pipeline.source is None else printable(pipeline.source)
    return printable(pipeline.pipeline_id), str(pipeline.files), str(pipeline.chunks), when, source


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(w) if n in _NUMBERS else cell.ljust(w) for n, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
