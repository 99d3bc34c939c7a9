"""The saved state that a pipeline resumes from after a restart."""

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
"""The state's fields that a pipeline sets: the keys of :attr:`SavedState.fields`."""


class SavedState(NamedTuple):
    """A pipeline's state as saved by its journal, as of ``seq``.

    ``fields`` has the :data:`SET_FIELDS` (times in wall-clock seconds), ``own`` the pipeline's own fields. Lists begin
    with the oldest file. ``failed_attempts`` has the last attempt's number of each file that failed last. ``outcomes``
    has the newest outcome of each file; the totals are counted from them.
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
