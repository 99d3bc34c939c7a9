"""What a pipeline goes on from after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rag_pipeline.contract.events import Json
from rag_pipeline.status.files import Key
from rag_pipeline.status.model import FileRecord, FileTotals

SET_FIELDS = (
    "status", "started_at", "last_activity", "last_check_time", "next_check_time", "check_interval", "is_checking",
    "files_queued",
)  # fmt: skip
"""The fields of the state that a pipeline sets: the keys of :attr:`SavedState.fields`."""


class SavedState(NamedTuple):
    """A pipeline as its journal knows it, as of ``seq``.

    ``fields`` are those of the state that a pipeline sets (times in wall-clock seconds), ``own`` its own ones. The
    lists have the oldest first. ``failed_attempts`` says how often files were tried whose last attempt failed.
    ``outcomes`` has the newest outcome of each file, which the totals are counted from.
    """

    pipeline_id: str
    pipeline_type: str | None
    epoch: str
    seq: int
    fields: Json
    own: Json
    totals: FileTotals
    completed: tuple[FileRecord, ...] = ()
    failed: tuple[FileRecord, ...] = ()
    skipped: tuple[FileRecord, ...] = ()
    in_flight: tuple[FileRecord, ...] = ()
    failed_attempts: tuple[tuple[Key, int], ...] = ()
    outcomes: Iterable[tuple[Key, int]] = ()
