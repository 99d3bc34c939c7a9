"""What the SQLite journal keeps of each pipeline to go on from: followed event by event, written once per batch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event, Json
from rag_pipeline.journal.base import FileStatus
from rag_pipeline.journal.files import OUTCOMES, STATUS_OF, keys_of, unpack
from rag_pipeline.journal.gap import GapBody
from rag_pipeline.journal.history import begun_as
from rag_pipeline.journal.sqlite import batch_insert
from rag_pipeline.journal.sqlite.files import FileChanges, key_text, read_key
from rag_pipeline.journal.sqlite.schema import decoded
from rag_pipeline.status.files import MAX_ATTEMPTS_REMEMBERED, Key, key_of
from rag_pipeline.status.model import FileBody, FileRecord, StateBody, Totals
from rag_pipeline.status.recent import MOST
from rag_pipeline.status.saved import SET_FIELDS, SavedState

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Known:
    """One pipeline as of the last event.

    in_flight: the files in flight, in the order they were started, and the position of the start.
    attempts: the files whose last attempt failed, oldest failure first.
    whole: whether every event up to ``seq`` was seen.
    """

    def __init__(self, pipeline_id: str, pipeline_type: str | None, epoch: str, seq: int, fields: Json) -> None:
        self.pipeline_id = pipeline_id
        self.pipeline_type = pipeline_type
        self.epoch = epoch
        self.seq = seq
        self.fields = fields
        self.own: Mapping[str, Any] = {}
        self.own_text = "{}"
        self.totals = Totals()
        self.in_flight: dict[Key, int] = {}
        self.attempts: dict[Key, int] = {}
        self.whole = True

    def follow(self, event: Event) -> bool:
        """Take over what the envelope says; return False for an event that is older than what is known."""
        epoch = event.epoch or ""
        if epoch == self.epoch and event.seq < self.seq:
            return False
        if epoch != self.epoch or event.seq != self.seq + event.numbered:
            self.whole = False
        self.epoch, self.seq, self.pipeline_type = epoch, event.seq, event.pipeline_type
        return True

    def set_own(self, own: Mapping[str, Any]) -> None:
        """Take over the pipeline's own fields; the mapping is replaced when it changes, never altered."""
        if own is not self.own:
            self.own, self.own_text = own, _encoder.encode(own)


class Books:
    """Every pipeline as of the last event, and what of it is yet to be written.

    To be thrown away, and loaded anew, when what it noted could not be written.
    """

    def __init__(self, pipelines: dict[str, Known]) -> None:
        self._pipelines = pipelines
        self._begin()

    def _begin(self) -> None:
        self._changed: dict[str, tuple[Known, int]] = {}
        self._files = FileChanges()
        self._gaps: dict[str, float] = {}
        self._attempts: dict[tuple[str, Key], tuple[int, int] | None] = {}

    def note(self, event: Event, position: int) -> int:
        """Follow an event; ``position`` is its own, or that of the event before it. Return the last one it takes.

        A state that stands for events which are missing takes one more for each file that it shows.
        """
        if event.pipeline_id is None:
            return position
        known = self._pipelines.get(event.pipeline_id)
        if known is None:
            known = self._pipelines[event.pipeline_id] = _newcomer(event.pipeline_id, event)
        self._changed[known.pipeline_id] = (known, position)
        current = known.follow(event)
        if isinstance(event.body, FileBody):
            self._note_file(known, event, event.body, position)
        elif isinstance(event.body, GapBody):
            known.whole = False
            self._gaps[known.pipeline_id] = event.at
            return self._note_state(known, event.body.state, event.at, position)
        elif isinstance(event.body, StateBody) and current:
            return self._note_state(known, event.body, event.at, position)
        return position

    def take(self) -> list[batch_insert.Row]:
        """Return what is to be put into the inbox for what was noted since the last time."""
        rows = self._files.rows()
        rows += [(batch_insert.GAP, pipeline_id, at) for pipeline_id, at in self._gaps.items()]
        rows += [_attempt_row(*which, kept) for which, kept in self._attempts.items()]
        rows += [_row(*one) for one in self._changed.values()]
        self._begin()
        return rows

    def _note_file(self, known: Known, event: Event, body: FileBody, position: int) -> None:
        known.fields["last_activity"] = event.at
        if body.totals is not None:
            known.totals = body.totals
        status, key = STATUS_OF[event.name], keys_of(body.file)[0]
        started = None
        if status is FileStatus.PROCESSING:
            if event.name == events.FILE_STARTED:
                known.in_flight.pop(key, None)
            started = known.in_flight.setdefault(key, position)
        else:
            self._note_end(known, status, body.file, position)
        self._files.change(known.pipeline_id, key, status, event.at, position, started, body.file)

    def _note_end(self, known: Known, status: FileStatus, file: FileRecord, position: int) -> None:
        key = begun_as(file, known.in_flight)
        if key is not None:
            del known.in_flight[key]
            self._files.drop(known.pipeline_id, key)
        self._note_attempt(known, key or key_of(file.name, file.id), status, file.attempt, position)

    def _note_attempt(self, known: Known, key: Key, status: FileStatus, attempt: int, position: int) -> None:
        if known.attempts.pop(key, None) is not None:
            self._attempts[known.pipeline_id, key] = None
        if status is FileStatus.FAILED:
            known.attempts[key] = attempt
            self._attempts[known.pipeline_id, key] = (attempt, position)
            if len(known.attempts) > MAX_ATTEMPTS_REMEMBERED:
                oldest = next(iter(known.attempts))
                del known.attempts[oldest]
                self._attempts[known.pipeline_id, oldest] = None

    def _note_state(self, known: Known, body: StateBody, at: float, position: int) -> int:
        known.fields = {field: getattr(body, field) for field in SET_FIELDS}
        known.set_own(body.own)
        known.totals = body.totals
        if not known.whole:
            position = self._catch_up(known, body, at, position)
            known.whole = True
        return position

    def _catch_up(self, known: Known, body: StateBody, at: float, position: int) -> int:
        """Events are missing: what the state shows of files holds, rather than what was followed."""
        for file in body.files_processing:
            key = key_of(file.name, file.id)
            if key not in known.in_flight:
                position += 1
                started = known.in_flight[key] = position
                self._files.change(known.pipeline_id, key, FileStatus.PROCESSING, at, position, started, file)
        if body.files_in_flight == len(body.files_processing):  # else it shows the last of them only
            shown = {key_of(file.name, file.id) for file in body.files_processing}
            for key in [key for key in known.in_flight if key not in shown]:
                del known.in_flight[key]
                self._files.drop(known.pipeline_id, key)
        lists = (body.files_completed, body.files_failed, body.files_skipped)
        for status, files in zip(OUTCOMES, lists, strict=False):  # deleted files are in no list
            for file in files:
                position += 1
                self._files.change(known.pipeline_id, key_of(file.name, file.id), status, at, position, None, file)
        return position


def load_books(db: sqlite3.Connection) -> Books:
    """Return the books as they were last written."""
    pipelines = {}
    for pid, kind, epoch, seq, fields, own, totals in db.execute(
        "SELECT pipeline_id, pipeline_type, epoch, seq, fields, own, totals FROM pipelines"
    ):
        known = pipelines[pid] = Known(pid, kind, epoch, seq, decoded(json.loads, fields))
        known.own, known.own_text = decoded(json.loads, own), own
        known.totals = decoded(_totals, totals)
    for pid, key, started in db.execute(
        "SELECT pipeline_id, file_key, started FROM files WHERE status = 'processing' ORDER BY started"
    ):
        decoded(pipelines.__getitem__, pid).in_flight[read_key(key)] = started
    for pid, key, attempt in db.execute("SELECT pipeline_id, file_key, attempt FROM attempts ORDER BY position"):
        decoded(pipelines.__getitem__, pid).attempts[read_key(key)] = attempt
    return Books(pipelines)


def saved_states(db: sqlite3.Connection) -> dict[str, SavedState]:
    """Return what each pipeline goes on from."""
    return {pid: _saved(db, known) for pid, known in load_books(db)._pipelines.items()}


def _saved(db: sqlite3.Connection, known: Known) -> SavedState:
    def records(query: str, *values: object) -> tuple[FileRecord, ...]:
        return tuple(decoded(unpack, text) for (text,) in db.execute(query, (known.pipeline_id, *values)))

    def recent(status: FileStatus) -> tuple[FileRecord, ...]:
        query = "SELECT record FROM files WHERE pipeline_id = ? AND status = ? ORDER BY position DESC LIMIT ?"
        return records(query, status, MOST[OUTCOMES[status]])[::-1]

    return SavedState(
        known.pipeline_id,
        known.pipeline_type,
        known.epoch,
        known.seq,
        known.fields,
        dict(known.own),
        known.totals,
        recent(FileStatus.COMPLETED),
        recent(FileStatus.FAILED),
        recent(FileStatus.SKIPPED),
        records("SELECT record FROM files WHERE pipeline_id = ? AND status = 'processing' ORDER BY started"),
        tuple(known.attempts.items()),
        [
            (read_key(key), OUTCOMES[status])
            for key, status in db.execute(
                "SELECT file_key, status FROM files WHERE pipeline_id = ? AND status <> 'processing'",
                (known.pipeline_id,),
            )
        ],
    )


def _totals(text: str) -> Totals:
    return Totals(*json.loads(text))


def _newcomer(pipeline_id: str, event: Event) -> Known:
    # Its first status says better; nearly always it comes with the first event.
    fields: Json = {**dict.fromkeys(SET_FIELDS), "status": "initializing", "started_at": event.at, "is_checking": False}
    return Known(pipeline_id, event.pipeline_type, event.epoch or "", 0, fields)


def _attempt_row(pipeline_id: str, key: Key, kept: tuple[int, int] | None) -> batch_insert.Row:
    if kept is None:
        return batch_insert.ATTEMPT_GONE, pipeline_id, key_text(key)
    return batch_insert.ATTEMPT, pipeline_id, key_text(key), *kept


def _row(known: Known, position: int) -> batch_insert.Row:
    fields, totals = _encoder.encode(known.fields), _encoder.encode(known.totals)
    return (
        batch_insert.PIPELINE, known.pipeline_id, known.pipeline_type, known.epoch, known.seq, fields, known.own_text,
        totals, position,
    )  # fmt: skip
