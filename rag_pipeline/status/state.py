"""The state machine behind PipelineStatus: decides what each mutation does. Pure: no lock, no I/O, no clock.

Every ``decide`` method returns a :class:`Mutation` and changes nothing itself. The ``_apply`` methods make assignments
only, so an interrupted one can be repeated.
"""

from __future__ import annotations

import math
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.files import FileInFlight, FilesInFlight, Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord, FileTotals, FileWarning, StateBody
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.outcomes import DELETED, FAILED, NONE, PROCESSED, SKIPPED, WARNED, OutcomeTable, kind_of
from rag_pipeline.status.recent import MOST, FileList, with_file, without
from rag_pipeline.status.stages import Measured, StageTimes
from rag_pipeline.status.throughput import Throughput
from rag_pipeline.status.values import MAX_SHOWN_RESULT_CHARACTERS, shown_result
from rag_pipeline.status.verdict import MAX_WARNINGS, merge_warnings

PROGRESS_INTERVAL_SECONDS = 0.12
"""The shortest time between two progress events of one file; with the last value that is at most 10 a second."""

RELEASE_GRID_SECONDS = 0.01
HALTED = frozenset({"paused", "error", "stopped"})
"""Statuses in which no file is worked on: rate and ETA stay as they are."""
CHECK_FIELDS = frozenset({"last_check_time", "next_check_time", "is_checking", "last_activity"})
"""An update that changes only these is published without a ``seq`` of its own."""
_EVENT_NAMES = {
    PROCESSED: events.FILE_COMPLETED,
    FAILED: events.FILE_FAILED,
    SKIPPED: events.FILE_SKIPPED,
    DELETED: events.FILE_DELETED,
}

_new_tuple = tuple.__new__  # FileBody(…) and Event(…) do the same at twice the cost, in every mutation


class PipelineState:
    """The state of one pipeline."""

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
        self.attempts = [0] * WARNED  # of this process, by outcome; WARNED are not in PROCESSED
        self.files = FilesInFlight()
        self.recent: list[FileList] = [()] * len(MOST)
        self.outcomes = OutcomeTable()
        self.interrupted: tuple[FileRecord, ...] = ()
        self.resumed_from: tuple[str, int] | None = None
        self.times = StageTimes()
        self.throughput = Throughput()
        self._held: dict[Key, FileInFlight] = {}

    # -- snapshots ---------------------------------------------------------------------------------------------------

    def body(self, now: Moment) -> StateBody:
        """Return the current state; takes constant time."""
        fields = self.fields
        rate = self.throughput.per_minute(now.mono)
        queued, in_flight = fields["files_queued"], len(self.files)
        eta = None
        if queued is not None and rate:
            eta = round((queued + in_flight) * 60.0 / rate, 1)
        return StateBody(
            pipeline_id=self.pipeline_id,
            pipeline_type=self.pipeline_type,
            status=fields["status"] or self._derived_status(),
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
            attempts=self._attempt_totals(),
        )

    def _attempt_totals(self) -> FileTotals:
        processed, failed, skipped, deleted, warned = self.attempts
        return FileTotals(processed + warned, failed, skipped, deleted, warned)

    def _derived_status(self) -> str:
        if len(self.files):
            return "processing"
        return "idle" if any(self.attempts) or any(self.totals) else "initializing"

    def status_event(self, now: Moment, also: str | None = None, *, numbered: bool = False) -> PipelineEvent:
        """Return ``pipeline:status`` as of the current ``seq``; the namespace of the type ``also`` gets it too."""
        return self._event(events.STATUS, self.seq, self.body(now), now, also, numbered=numbered)

    # -- fields ------------------------------------------------------------------------------------------------------

    def decide_update(self, fields: Json, own: Json, pipeline_type: str | None, now: Moment) -> Mutation:
        """Set fields; ``own`` has all of the pipeline's own. A change of type goes to the old namespace too.

        An update of :data:`CHECK_FIELDS` only goes out under the current ``seq``: a check that found nothing new is not
        worth an entry in a journal.
        """
        numbered = not (
            not CHECK_FIELDS.isdisjoint(fields)
            and pipeline_type == self.pipeline_type
            and own == self.own
            and self.seq > 0
            and all(self.fields[key] == value for key, value in fields.items() if key not in CHECK_FIELDS)
        )
        changed = {**self.fields, "last_activity": now.wall, **fields}
        mutation = Mutation(now, self._apply_update, (changed, own, pipeline_type, self.seq + numbered, now.mono))
        mutation.status, mutation.numbered, mutation.former_type = True, numbered, self.pipeline_type
        return mutation

    def _apply_update(self, fields: Json, own: Json, pipeline_type: str | None, seq: int, mono: float) -> None:
        self.throughput.halt(mono, halted=fields["status"] in HALTED)
        self.fields, self.own = fields, own  # published states share the old mapping
        self.pipeline_type, self._namespaces = pipeline_type, events.namespaces_of(pipeline_type)
        self.seq = seq

    def decide_epoch(self, epoch: str, now: Moment) -> Mutation:
        """Begin a new epoch, and publish a status."""
        mutation = Mutation(now, self._apply_epoch, (epoch,))
        mutation.status = True
        return mutation

    def _apply_epoch(self, epoch: str) -> None:
        self.epoch = epoch

    # -- files -------------------------------------------------------------------------------------------------------

    def decide_start(self, file: FileRecord, now: Moment) -> Mutation:
        """Put a file in flight; one that is in flight already starts over as a new attempt.

        Until it ends it counts only as in flight: its former outcome is taken out of totals and lists.
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
        self._held.pop(key, None)  # of the former attempt; its last event still counts for the limit
        self.files.start(key, flight)
        if totals is not None:
            self.totals = totals
            listed = kind_of(former)
            self.recent[listed] = without(self.recent[listed], key)
            self.outcomes.set(key, NONE)
        self.throughput.started(flight.started)
        self._number(event)

    def decide_progress(self, key: Key, stage: str, progress: float | None, now: Moment) -> Mutation:
        """Set a file's stage and fraction; over 10 a second the event is held back.

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
            # On a grid, so that the files of a parallel pipeline are released together.
            due = math.ceil((flight.sent + PROGRESS_INTERVAL_SECONDS) / RELEASE_GRID_SECONDS) * RELEASE_GRID_SECONDS
        mutation = Mutation(now, self._apply_held_progress, (key, flight, record, stay, now, due))
        mutation.due, mutation.owes_status = due, True
        return mutation

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

    def decide_warning(self, key: Key, warning: FileWarning, now: Moment) -> Mutation:
        """Keep a warning of a file in flight until it completes; the mutation's ``full`` is True if it has no room."""
        flight = self.files[key]
        merged = merge_warnings(flight.warnings, (warning,))
        mutation = Mutation(now, self._apply_warning, (flight, merged[:MAX_WARNINGS]))
        mutation.full = len(merged) > MAX_WARNINGS
        return mutation

    def _apply_warning(self, flight: FileInFlight, warnings: tuple[FileWarning, ...]) -> None:
        flight.warnings = warnings

    def decide_release(self, now: Moment, *, everything: bool = False) -> Mutation:
        """Publish the held-back progress that is due, or all of it."""
        ready = [key for key, flight in self._held.items() if everything or (flight.due or 0.0) <= now.mono]
        released = tuple([self._progress_event(key, self.seq + n, now) for n, key in enumerate(ready, 1)])
        mutation = Mutation(now, self._apply_release, (ready, now, self.seq + len(ready)), released)
        mutation.due = min([flight.due or 0.0 for key, flight in self._held.items() if key not in ready], default=None)
        return mutation

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
        """Take a file out of flight and count its outcome; held-back progress of the file goes out first.

        ``file`` has the name and the id, and a completed file's warnings and quality. ``size`` is about the number of
        characters of the result. A file that is not in flight is counted too; the mutation's ``known`` is False then.
        """
        before: tuple[PipelineEvent, ...] = ()
        measured: tuple[Measured, ...] = ()
        key = self.files.find(file.name, file.id)
        if key is None:
            flight = None
            record = file.finished(file.id, now.wall, None, result, error, file.warnings, file.quality)
        else:
            flight = self.files[key]
            if key in self._held:
                before = (self._progress_event(key, self.seq + 1, now),)
            record, measured = self._ended(flight, file, outcome, result, error, now)
        ended_as = key_of(record.name, record.id)
        former = 0 if key == ended_as else self.outcomes.get(ended_as)  # its start has removed it
        counted = WARNED if record.warnings else outcome
        totals = self.totals.moved(former, counted)
        listed_record = record if size <= MAX_SHOWN_RESULT_CHARACTERS else record._replace(result=shown_result(result))
        listed = self.recent[outcome] if kind_of(former) != outcome else without(self.recent[outcome], ended_as)
        listed = with_file(listed, listed_record, MOST[outcome])
        event = self._event(
            _EVENT_NAMES[outcome], self.seq + 1 + len(before), _new_tuple(FileBody, (record, totals)), now
        )
        attempt = self.attempts[counted - 1] + 1
        args = (key, flight, ended_as, former, outcome, counted, totals, listed, attempt, measured, now.mono, event)
        mutation = Mutation(now, self._apply_end, args, (*before, event) if before else (event,))
        mutation.known = flight is not None
        return mutation

    def _ended(
        self,
        flight: FileInFlight,
        file: FileRecord,
        outcome: int,
        result: Any,
        error: FileFailure | None,
        now: Moment,
    ) -> tuple[FileRecord, tuple[Measured, ...]]:
        """Return the file's last record, and the durations of its last stage and of the file."""
        started = flight.record
        if error is not None and error.stage is None:
            error = error._replace(stage=started.stage)
        seconds = round(now.mono - flight.started, 6)
        warnings = file.warnings
        if flight.warnings and outcome == PROCESSED:
            warnings = merge_warnings(flight.warnings, warnings)[:MAX_WARNINGS]
        record = started.finished(file.id or started.id, now.wall, seconds, result, error, warnings, file.quality)
        stay = self.times.stay(started.stage, now.mono - (flight.entered or flight.started))
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
        counted: int,
        totals: FileTotals,
        listed: FileList,
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
        # The next attempt will have the key that this one was started under.
        if outcome == FAILED:
            self.files.remember_failure(key or ended_as, flight.record.attempt if flight is not None else 1)
        else:
            self.files.forget_failures(key or ended_as)
        listed_before = kind_of(former)
        if former and listed_before != outcome:
            self.recent[listed_before] = without(self.recent[listed_before], ended_as)
        self.recent[outcome] = listed
        self.outcomes.set(ended_as, counted)
        self.totals = totals
        self.attempts[counted - 1] = attempt
        if self.seq != event.seq:  # else this is a repetition, and it is counted already
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
