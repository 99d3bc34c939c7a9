"""The state machine behind PipelineStatus: decides what each mutation does; no lock, no I/O, no clock.

Every ``decide`` method returns a :class:`Mutation` and changes nothing itself. The methods that apply a change make
assignments only, so an interrupted one is repeated as a whole.
"""

from __future__ import annotations

import math
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.files import FileInFlight, FilesInFlight, Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord, FileTotals, StateBody
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.outcomes import DELETED, FAILED, NONE, PROCESSED, SKIPPED, OutcomeTable
from rag_pipeline.status.recent import MOST, Files, with_file, without
from rag_pipeline.status.stages import Measured, StageTimes
from rag_pipeline.status.throughput import Throughput
from rag_pipeline.status.values import MAX_SHOWN_RESULT_CHARACTERS, shown_result

PROGRESS_INTERVAL_SECONDS = 0.12
"""Least time between two progress events of one file: with the last value on top still at most 10 a second."""

RELEASE_GRID_SECONDS = 0.01
HALTED = frozenset({"paused", "error", "stopped"})
"""Statuses in which no file gets done: rate and time left stay as they were."""
CHECK_FIELDS = frozenset({"last_check_time", "next_check_time", "is_checking", "last_activity"})
"""An update that changes none but these is shown, and not numbered."""
_EVENT_NAMES = {
    PROCESSED: events.FILE_COMPLETED,
    FAILED: events.FILE_FAILED,
    SKIPPED: events.FILE_SKIPPED,
    DELETED: events.FILE_DELETED,
}

_new_tuple = tuple.__new__  # FileBody(…) and Event(…) do the same at twice the cost, in every mutation


class PipelineState:
    """Everything known of one pipeline."""

    def __init__(self, pipeline_id: str, pipeline_type: str | None, epoch: str, now: Moment) -> None:
        self.pipeline_id = pipeline_id
        self.pipeline_type = pipeline_type
        self._namespaces = events.namespaces_of(pipeline_type)
        self.epoch = epoch
        self.seq = 0
        self.fields: Json = {
            "status": None,  # follows the work until the pipeline sets it
            "started_at": now.wall,
            "last_activity": None,
            "last_check_time": None,
            "next_check_time": None,
            "check_interval": None,
            "is_checking": False,
            "files_queued": None,
        }
        self.own: Json = {}
        self.totals = FileTotals()
        self.attempts = [0, 0, 0, 0]  # of this process, in the order of the totals
        self.files = FilesInFlight()
        self.recent: list[Files] = [()] * len(MOST)
        self.outcomes = OutcomeTable()
        self.interrupted: tuple[FileRecord, ...] = ()
        self.resumed_from: tuple[str, int] | None = None
        self.times = StageTimes()
        self.throughput = Throughput()
        self._held: dict[Key, FileInFlight] = {}

    # -- what is shown ---------------------------------------------------------------------------------------------

    def body(self, now: Moment) -> StateBody:
        """Return the state as it stands; costs the same however long the run."""
        fields = self.fields
        rate = self.throughput.per_minute(now.mono)
        queued, in_flight = fields["files_queued"], len(self.files)
        eta = None
        if queued is not None and rate:
            eta = round((queued + in_flight) * 60.0 / rate, 1)
        return StateBody(
            pipeline_id=self.pipeline_id,
            pipeline_type=self.pipeline_type,
            status=fields["status"] or self._status_of_the_work(),
            epoch=self.epoch,
            seq=self.seq,
            started_at=fields["started_at"],
            last_activity=fields["last_activity"],
            last_check_time=fields["last_check_time"],
            next_check_time=fields["next_check_time"],
            check_interval=fields["check_interval"],
            is_checking=fields["is_checking"],
            files_in_flight=in_flight,
            files_processing=self.files.newest(),
            files_completed=self.recent[PROCESSED],
            files_failed=self.recent[FAILED],
            files_skipped=self.recent[SKIPPED],
            totals=self.totals,
            files_queued=queued,
            files_per_minute=rate,
            eta_seconds=eta,
            own=self.own,
            attempts=FileTotals(*self.attempts),
        )

    def _status_of_the_work(self) -> str:
        if len(self.files):
            return "processing"
        return "idle" if any(self.attempts) or any(self.totals) else "initializing"

    def status_event(self, now: Moment, also: str | None = None, *, numbered: bool = False) -> PipelineEvent:
        """Return ``pipeline:status`` as of the current ``seq``; ``also`` is a type the pipeline had before."""
        return self._event(events.STATUS, self.seq, self.body(now), now, also, numbered=numbered)

    # -- fields ----------------------------------------------------------------------------------------------------

    def decide_update(self, fields: Json, own: Json, pipeline_type: str | None, now: Moment) -> Mutation:
        """Set fields; ``own`` is all of the pipeline's own ones. A change of type shows in the old namespace too.

        An update that only tells when the source was checked goes out under the ``seq`` of the last change: a check
        that found nothing new is not worth an entry in a journal.
        """
        numbered = not (
            not CHECK_FIELDS.isdisjoint(fields)
            and pipeline_type == self.pipeline_type
            and own == self.own
            and self.seq > 0
            and all(self.fields[key] == value for key, value in fields.items() if key not in CHECK_FIELDS)
        )
        changed = {**self.fields, "last_activity": now.wall, **fields}
        change = Mutation(now, self._apply_update, (changed, own, pipeline_type, self.seq + numbered, now.mono))
        change.status, change.numbered, change.former_type = True, numbered, self.pipeline_type
        return change

    def _apply_update(self, fields: Json, own: Json, pipeline_type: str | None, seq: int, mono: float) -> None:
        self.throughput.halt(mono, halted=fields["status"] in HALTED)
        self.fields, self.own = fields, own  # states that went out share the old mapping of own fields
        self.pipeline_type, self._namespaces = pipeline_type, events.namespaces_of(pipeline_type)
        self.seq = seq

    def decide_epoch(self, epoch: str, now: Moment) -> Mutation:
        """Begin a new epoch, and say so."""
        change = Mutation(now, self._apply_epoch, (epoch,))
        change.status = True
        return change

    def _apply_epoch(self, epoch: str) -> None:
        self.epoch = epoch

    # -- files -----------------------------------------------------------------------------------------------------

    def decide_start(self, file: FileRecord, now: Moment) -> Mutation:
        """Put a file in flight; one that is in flight already starts over as a new attempt.

        Until it ends it counts as in flight alone: its former outcome leaves totals and lists.
        """
        key = key_of(file.name, file.id)
        running = self.files.get(key)
        record = file.started(self.files.next_attempt(key), now.wall)
        former = self.outcomes.get(key)
        totals = self.totals.moved(former, 0) if former else None
        flight = FileInFlight(record, now.mono, None if running is None else running.sent)
        event = self._event(events.FILE_STARTED, self.seq + 1, _new_tuple(FileBody, (record, totals)), now)
        return Mutation(now, self._apply_start, (key, flight, former, totals, event), (event,))

    def _apply_start(
        self, key: Key, flight: FileInFlight, former: int, totals: FileTotals | None, event: PipelineEvent
    ) -> None:
        self._held.pop(key, None)  # of the former attempt; when it was sent still counts for the limit
        self.files.start(key, flight)
        if totals is not None:
            self.totals = totals
            self.recent[former] = without(self.recent[former], key)
            self.outcomes.set(key, NONE)
        self.throughput.started(flight.started)
        self._number(event)

    def decide_progress(self, key: Key, stage: str, progress: float | None, now: Moment) -> Mutation:
        """Set a file's stage and fraction; held back, without an event, for the limit of 10 a second.

        Within a stage the fraction never goes back.
        """
        flight = self.files[key]
        file, stay = flight.record, None
        if file.stage != stage:
            stay = self.times.stay(file.stage, now.mono - (flight.entered or flight.started))
        elif file.progress is not None and (progress is None or progress < file.progress):
            progress = file.progress
        record = file.in_stage(stage, progress, now.wall)
        if flight.sent is None or now.mono >= flight.sent + PROGRESS_INTERVAL_SECONDS:
            event = self._event(events.FILE_PROGRESS, self.seq + 1, _new_tuple(FileBody, (record, None)), now)
            return Mutation(now, self._apply_progress, (key, flight, record, stay, now, event), (event,))
        due = flight.due
        if due is None:
            # On a grid, so that the files of a wide pipeline are released together and not one by one.
            due = math.ceil((flight.sent + PROGRESS_INTERVAL_SECONDS) / RELEASE_GRID_SECONDS) * RELEASE_GRID_SECONDS
        change = Mutation(now, self._apply_held_progress, (key, flight, record, stay, now, due))
        change.due, change.owes_status = due, True
        return change

    def _apply_progress(
        self,
        key: Key,
        flight: FileInFlight,
        record: FileRecord,
        stay: Measured | None,
        now: Moment,
        event: PipelineEvent,
    ) -> None:
        self._enter(flight, record, stay, now)
        self._held.pop(key, None)
        flight.due, flight.sent = None, now.mono
        self._number(event)

    def _apply_held_progress(
        self, key: Key, flight: FileInFlight, record: FileRecord, stay: Measured | None, now: Moment, due: float
    ) -> None:
        self._enter(flight, record, stay, now)
        flight.due = due
        self._held[key] = flight
        self.fields["last_activity"] = now.wall

    def _enter(self, flight: FileInFlight, record: FileRecord, stay: Measured | None, now: Moment) -> None:
        if stay is not None:
            buckets, index, count, seconds = stay
            buckets.assign(index, count, seconds)
        if flight.record.stage != record.stage:
            flight.entered = now.mono
        flight.record = record
        self.throughput.progressed(now.mono)

    def decide_release(self, now: Moment, *, everything: bool = False) -> Mutation:
        """Send the held-back progress whose time has come, or all of it."""
        ready = [key for key, flight in self._held.items() if everything or (flight.due or 0.0) <= now.mono]
        released = tuple([self._progress_event(key, self.seq + n, now) for n, key in enumerate(ready, 1)])
        change = Mutation(now, self._apply_release, (ready, now, self.seq + len(ready)), released)
        change.due = min([flight.due or 0.0 for key, flight in self._held.items() if key not in ready], default=None)
        return change

    def _progress_event(self, key: Key, seq: int, now: Moment) -> PipelineEvent:
        return self._event(events.FILE_PROGRESS, seq, FileBody(self.files[key].record), now)

    def _apply_release(self, keys: list[Key], now: Moment, seq: int) -> None:
        for key in keys:
            flight = self.files[key]
            flight.due, flight.sent = None, now.mono
            self._held.pop(key, None)
            self.fields["last_activity"] = now.wall
        self.seq = seq

    def decide_end(
        self, file: FileRecord, outcome: int, result: Any, size: int, error: FileFailure | None, now: Moment
    ) -> Mutation:
        """Take a file out of flight, and count it by its outcome; its last progress goes first if it was held back.

        ``size`` is about the number of characters of the result. A file that is not in flight is counted too; the
        change's ``known`` says so.
        """
        before: tuple[PipelineEvent, ...] = ()
        measured: tuple[Measured, ...] = ()
        key = self.files.find(file.name, file.id)
        if key is None:
            flight = None
            record = file.finished(file.id, now.wall, None, result, error)
        else:
            flight = self.files[key]
            if key in self._held:
                before = (self._progress_event(key, self.seq + 1, now),)
            record, measured = self._ended(flight, file, outcome, result, error, now)
        ended_as = key_of(record.name, record.id)
        former = 0 if key == ended_as else self.outcomes.get(ended_as)  # a start takes it away
        totals = self.totals.moved(former, outcome)
        shown = record if size <= MAX_SHOWN_RESULT_CHARACTERS else record._replace(result=shown_result(result))
        listed = self.recent[outcome] if former != outcome else without(self.recent[outcome], ended_as)
        listed = with_file(listed, shown, MOST[outcome])
        event = self._event(
            _EVENT_NAMES[outcome], self.seq + 1 + len(before), _new_tuple(FileBody, (record, totals)), now
        )
        attempt = self.attempts[outcome - 1] + 1
        args = (key, flight, ended_as, former, outcome, totals, listed, attempt, measured, now.mono, event)
        change = Mutation(now, self._apply_end, args, (*before, event) if before else (event,))
        change.known = flight is not None
        return change

    def _ended(
        self,
        flight: FileInFlight,
        file: FileRecord,
        outcome: int,
        result: Any,
        error: FileFailure | None,
        now: Moment,
    ) -> tuple[FileRecord, tuple[Measured, ...]]:
        """Return the file's last record, and how long its last stage and the whole file took."""
        known = flight.record
        if error is not None and error.stage is None:
            error = error._replace(stage=known.stage)
        seconds = round(now.mono - flight.started, 6)
        record = known.finished(file.id or known.id, now.wall, seconds, result, error)
        stay = self.times.stay(known.stage, now.mono - (flight.entered or flight.started))
        measured = () if stay is None else (stay,)
        if outcome <= FAILED:
            measured = (*measured, self.times.end(seconds, failed=outcome == FAILED))
        return record, measured

    def _apply_end(
        self,
        key: Key | None,
        flight: FileInFlight | None,
        ended_as: Key,
        former: int,
        outcome: int,
        totals: FileTotals,
        listed: Files,
        attempt: int,
        measured: tuple[Measured, ...],
        mono: float,
        event: PipelineEvent,
    ) -> None:
        for buckets, index, count, seconds in measured:
            buckets.assign(index, count, seconds)
        if key is not None and flight is not None:
            self._held.pop(key, None)
            self.files.discard(key, flight.record.name)
        # The next attempt comes under the key that this one was started under.
        if outcome == FAILED:
            self.files.remember_failure(key or ended_as, flight.record.attempt if flight is not None else 1)
        else:
            self.files.forget_failures(key or ended_as)
        if former and former != outcome:
            self.recent[former] = without(self.recent[former], ended_as)
        self.recent[outcome] = listed
        self.outcomes.set(ended_as, outcome)
        self.totals = totals
        self.attempts[outcome - 1] = attempt
        if self.seq != event.seq:  # else it was counted, and this is a repetition
            self.throughput.ended(mono, len(self.files), worked=outcome <= FAILED)
        self._number(event)

    def _number(self, event: PipelineEvent) -> None:
        self.seq = event.seq
        self.fields["last_activity"] = event.at

    def _event(
        self,
        name: str,
        seq: int,
        body: FileBody | StateBody,
        now: Moment,
        also: str | None = None,
        *,
        numbered: bool = True,
    ) -> PipelineEvent:
        namespaces = self._namespaces if also is None else events.namespaces_of(self.pipeline_type, also)
        values = (name, namespaces, self.pipeline_id, self.pipeline_type, self.epoch, seq, now.wall, body, numbered)
        return _new_tuple(PipelineEvent, values)
