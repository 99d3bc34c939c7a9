"""Checkpoints: the state that each pipeline resumes from, updated with each event and written once for each batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.journal.base import FileStatus
from rag_pipeline.journal.files import OUTCOMES, STATUS_OF, counts_as, key_from_text, key_to_text, keys_of, unpack
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.journal.history import in_flight_key
from rag_pipeline.journal.sqlite import batch_insert
from rag_pipeline.journal.sqlite.files import FileChanges
from rag_pipeline.journal.sqlite.schema import decoded
from rag_pipeline.status.files import MAX_ATTEMPTS_REMEMBERED, Key, key_of
from rag_pipeline.status.model import FileBody, FileRecord, FileTotals, StateBody
from rag_pipeline.status.recent import MOST
from rag_pipeline.status.saved import SET_FIELDS, SavedState

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class PipelineCheckpoint:
    """The state of one pipeline as of its last event.

    in_flight: the files in flight, in order of their start, with the position of the start.
    attempts: the files whose last attempt failed, oldest failure first, with the number of attempts.
    complete: whether no event up to ``seq`` is missing.
    """

    def __init__(self, pipeline_id: str, pipeline_type: str | None, epoch: str, seq: int, fields: Json) -> None:
        self.pipeline_id = pipeline_id
        self.pipeline_type = pipeline_type
        self.epoch = epoch
        self.seq = seq
        self.fields = fields
        self.own: Mapping[str, Any] = {}
        self.own_text = "{}"
        self.totals = FileTotals()
        self.in_flight: dict[Key, int] = {}
        self.attempts: dict[Key, int] = {}
        self.complete = True

    def follow(self, event: PipelineEvent) -> bool:
        """Apply the event's envelope; return False if the event is older than the checkpoint."""
        epoch = event.epoch or ""
        if epoch == self.epoch and event.seq < self.seq:
            return False
        if epoch != self.epoch or event.seq != self.seq + event.numbered:
            self.complete = False
        self.epoch, self.seq, self.pipeline_type = epoch, event.seq, event.pipeline_type
        return True

    def set_own(self, own: Mapping[str, Any]) -> None:
        """Apply the pipeline's own fields; encoded only when changed, as the mapping is never modified in place."""
        if own is not self.own:
            self.own, self.own_text = own, _encoder.encode(own)


class CheckpointWriter:
    """The checkpoints of all pipelines, and which changes are not written yet.

    After a failed write, discard it and call :func:`load_checkpoints` again.
    """

    def __init__(self, checkpoints: dict[str, PipelineCheckpoint]) -> None:
        self.checkpoints = checkpoints
        self._begin()

    def _begin(self) -> None:
        self._changed: dict[str, tuple[PipelineCheckpoint, int]] = {}
        self._files = FileChanges()
        self._gaps: dict[str, float] = {}
        self._attempts: dict[tuple[str, Key], tuple[int, int] | None] = {}

    def note(self, event: PipelineEvent, position: int) -> int:
        """Apply an event; ``position`` is its own, or that of the event before it. Return the last position it uses.

        A state that replaces missing events uses one more position for each file that it shows.
        """
        if event.pipeline_id is None:
            return position
        checkpoint = self.checkpoints.get(event.pipeline_id)
        if checkpoint is None:
            checkpoint = self.checkpoints[event.pipeline_id] = _new_checkpoint(event.pipeline_id, event)
        self._changed[checkpoint.pipeline_id] = (checkpoint, position)
        current = checkpoint.follow(event)
        if isinstance(event.body, FileBody):
            self._note_file(checkpoint, event, event.body, position)
        elif isinstance(event.body, GapBody):
            checkpoint.complete = False
            self._gaps[checkpoint.pipeline_id] = event.at
            return self._note_state(checkpoint, event.body.state, event.at, position)
        elif isinstance(event.body, StateBody) and current:
            return self._note_state(checkpoint, event.body, event.at, position)
        return position

    def take(self) -> list[batch_insert.BatchRow]:
        """Return the rows of all changes since the last call, for the batch insert."""
        rows = self._files.rows()
        rows += [(batch_insert.GAP, pipeline_id, at) for pipeline_id, at in self._gaps.items()]
        rows += [_attempt_row(*key, attempt) for key, attempt in self._attempts.items()]
        rows += [_row(*changed) for changed in self._changed.values()]
        self._begin()
        return rows

    def _note_file(self, checkpoint: PipelineCheckpoint, event: PipelineEvent, body: FileBody, position: int) -> None:
        checkpoint.fields["last_activity"] = event.at
        if body.totals is not None:
            checkpoint.totals = body.totals
        status, key = STATUS_OF[event.name], keys_of(body.file)[0]
        started = None
        if status is FileStatus.PROCESSING:
            if event.name == events.FILE_STARTED:
                checkpoint.in_flight.pop(key, None)
            started = checkpoint.in_flight.setdefault(key, position)
        else:
            self._note_end(checkpoint, status, body.file, position)
        self._files.change(checkpoint.pipeline_id, key, status, event.at, position, started, body.file)

    def _note_end(self, checkpoint: PipelineCheckpoint, status: FileStatus, file: FileRecord, position: int) -> None:
        key = in_flight_key(file, checkpoint.in_flight)
        if key is not None:
            del checkpoint.in_flight[key]
            self._files.drop(checkpoint.pipeline_id, key)
        self._note_attempt(checkpoint, key or key_of(file.name, file.id), status, file.attempt, position)

    def _note_attempt(
        self, checkpoint: PipelineCheckpoint, key: Key, status: FileStatus, attempt: int, position: int
    ) -> None:
        if checkpoint.attempts.pop(key, None) is not None:
            self._attempts[checkpoint.pipeline_id, key] = None
        if status is FileStatus.FAILED:
            checkpoint.attempts[key] = attempt
            self._attempts[checkpoint.pipeline_id, key] = (attempt, position)
            if len(checkpoint.attempts) > MAX_ATTEMPTS_REMEMBERED:
                oldest = next(iter(checkpoint.attempts))
                del checkpoint.attempts[oldest]
                self._attempts[checkpoint.pipeline_id, oldest] = None

    def _note_state(self, checkpoint: PipelineCheckpoint, body: StateBody, at: float, position: int) -> int:
        checkpoint.fields = {field: getattr(body, field) for field in SET_FIELDS}
        checkpoint.set_own(body.own)
        checkpoint.totals = body.totals
        if not checkpoint.complete:
            position = self._repair_files(checkpoint, body, at, position)
            checkpoint.complete = True
        return position

    def _repair_files(self, checkpoint: PipelineCheckpoint, body: StateBody, at: float, position: int) -> int:
        """Replace the files by those of the state, because events are missing."""
        for file in body.files_processing:
            key = key_of(file.name, file.id)
            if key not in checkpoint.in_flight:
                position += 1
                started = checkpoint.in_flight[key] = position
                self._files.change(checkpoint.pipeline_id, key, FileStatus.PROCESSING, at, position, started, file)
        if body.files_in_flight == len(body.files_processing):  # else it shows only the last of them
            in_flight = {key_of(file.name, file.id) for file in body.files_processing}
            for key in [key for key in checkpoint.in_flight if key not in in_flight]:
                del checkpoint.in_flight[key]
                self._files.drop(checkpoint.pipeline_id, key)
        lists = (body.files_completed, body.files_failed, body.files_skipped)
        for status, files in zip(OUTCOMES, lists, strict=False):  # there is no list of deleted files
            for file in files:
                position += 1
                self._files.change(checkpoint.pipeline_id, key_of(file.name, file.id), status, at, position, None, file)
        return position


def load_checkpoints(db: sqlite3.Connection) -> CheckpointWriter:
    """Return the checkpoints as last written."""
    checkpoints = {}
    for pid, kind, epoch, seq, fields, own, totals in db.execute(
        "SELECT pipeline_id, pipeline_type, epoch, seq, fields, own, totals FROM pipelines"
    ):
        checkpoint = checkpoints[pid] = PipelineCheckpoint(pid, kind, epoch, seq, decoded(json.loads, fields))
        checkpoint.own, checkpoint.own_text = decoded(json.loads, own), own
        checkpoint.totals = decoded(_totals, totals)
    for pid, key, started in db.execute(
        "SELECT pipeline_id, file_key, started FROM files WHERE status = 'processing' ORDER BY started"
    ):
        decoded(checkpoints.__getitem__, pid).in_flight[key_from_text(key)] = started
    for pid, key, attempt in db.execute("SELECT pipeline_id, file_key, attempt FROM attempts ORDER BY position"):
        decoded(checkpoints.__getitem__, pid).attempts[key_from_text(key)] = attempt
    return CheckpointWriter(checkpoints)


def saved_states(db: sqlite3.Connection) -> dict[str, SavedState]:
    """Return the state that each pipeline resumes from."""
    return {pid: _saved(db, checkpoint) for pid, checkpoint in load_checkpoints(db).checkpoints.items()}


def _saved(db: sqlite3.Connection, checkpoint: PipelineCheckpoint) -> SavedState:
    def records(query: str, *values: object) -> tuple[FileRecord, ...]:
        return tuple(decoded(unpack, text) for (text,) in db.execute(query, (checkpoint.pipeline_id, *values)))

    def recent(status: FileStatus) -> tuple[FileRecord, ...]:
        query = "SELECT record FROM files WHERE pipeline_id = ? AND status = ? ORDER BY position DESC LIMIT ?"
        return records(query, status, MOST[OUTCOMES[status]])[::-1]

    return SavedState(
        checkpoint.pipeline_id,
        checkpoint.pipeline_type,
        checkpoint.epoch,
        checkpoint.seq,
        checkpoint.fields,
        dict(checkpoint.own),
        checkpoint.totals,
        recent(FileStatus.COMPLETED),
        recent(FileStatus.FAILED),
        recent(FileStatus.SKIPPED),
        records("SELECT record FROM files WHERE pipeline_id = ? AND status = 'processing' ORDER BY started"),
        tuple(checkpoint.attempts.items()),
        [
            (key_from_text(key), counts_as(decoded(FileStatus, status), warned=warned))
            for key, status, warned in db.execute(
                "SELECT file_key, status, warned FROM files WHERE pipeline_id = ? AND status <> 'processing'",
                (checkpoint.pipeline_id,),
            )
        ],
    )


def _totals(text: str) -> FileTotals:
    return FileTotals(*json.loads(text))


def _new_checkpoint(pipeline_id: str, event: PipelineEvent) -> PipelineCheckpoint:
    # Until its first status, which nearly always comes with the first event.
    fields: Json = {**dict.fromkeys(SET_FIELDS), "status": "initializing", "started_at": event.at, "is_checking": False}
    return PipelineCheckpoint(pipeline_id, event.pipeline_type, event.epoch or "", 0, fields)


def _attempt_row(pipeline_id: str, key: Key, attempt: tuple[int, int] | None) -> batch_insert.BatchRow:
    if attempt is None:
        return batch_insert.REMOVE_ATTEMPT, pipeline_id, key_to_text(key)
    return batch_insert.ATTEMPT, pipeline_id, key_to_text(key), *attempt


def _row(checkpoint: PipelineCheckpoint, position: int) -> batch_insert.BatchRow:
    fields, totals = _encoder.encode(checkpoint.fields), _encoder.encode(checkpoint.totals)
    row = (checkpoint.pipeline_id, checkpoint.pipeline_type, checkpoint.epoch, checkpoint.seq)
    return batch_insert.PIPELINE, *row, fields, checkpoint.own_text, totals, position
