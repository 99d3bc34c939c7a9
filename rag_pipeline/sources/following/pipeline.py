"""The pipeline: look, compare, hand out the work, write down what became of it; again until it is stopped."""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Mapping

from rag_pipeline.common import logs
from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import DeletionsHeldError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.following.breaker import Breakers, Trouble
from rag_pipeline.sources.following.control_handler import SINGLE_PASS, Steering
from rag_pipeline.sources.following.deaths import Deaths
from rag_pipeline.sources.following.deletion_brake import (
    NOTHING_HELD,
    SECOND_LOOK_SECONDS,
    USUAL_BRAKE,
    BrakeSettings,
    DeletionBrake,
)
from rag_pipeline.sources.following.hand import Forget, Give, Job, Note, Read
from rag_pipeline.sources.following.jobs import Jobs, has_failed
from rag_pipeline.sources.following.moves import Moves
from rag_pipeline.sources.following.plan import Plan, plan
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.schedule import Timetable
from rag_pipeline.sources.following.source import Check, Found, Source, SourceUnavailableError, Watcher
from rag_pipeline.sources.following.source_identity import Place
from rag_pipeline.sources.following.stability import Settling
from rag_pipeline.sources.following.status_reporter import Shown
from rag_pipeline.sources.following.steady import steady_now
from rag_pipeline.sources.ingestion import Ingestion, Parts
from rag_pipeline.sources.ledger import Ledger, Reported, Row, reconcile
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status import PipelineStatus, core_of
from rag_pipeline.status.control import Action, Control, Request

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 8.0
SINGLE_SETTLE_SECONDS = 60.0
SINGLE_TRIPS = 3
"""How often a dependency may fail in a row before a single pass ends with its error."""


class FollowingPipeline:
    """Follows one source: new, changed and deleted files go through the stages, or out of the store.

    The run loop belongs to the thread that calls :meth:`run`; files are worked on by ``workers`` threads. ``parts``,
    ``ledger`` and ``status`` belong to the caller. What people ask of the pipeline goes through ``control``, which
    ``status`` gets.
    """

    def __init__(
        self,
        status: PipelineStatus,
        source: Source,
        parts: Parts,
        ledger: Ledger,
        *,
        scope: str,
        mode: RunMode,
        check_interval_seconds: float,
        workers: int,
        brake: BrakeSettings = USUAL_BRAKE,
        control: Control | None = None,
    ) -> None:
        self._source = source
        self._parts = parts
        self._ledger = ledger
        self._scope = scope
        self._workers = workers
        self._shown = Shown(status, mode, check_interval_seconds)
        self._status = status
        self._single = mode is RunMode.SINGLE
        self._settling = Settling(source.settle_seconds)
        self._timetable = Timetable(check_interval_seconds)
        self._brake = DeletionBrake(brake)
        self._wake = threading.Event()
        self._available: bool | None = None
        self._waiting = 0
        self._unsettled = 0  # those of the waiting that are not in flight
        self._settle_deadline = float("inf")
        self._watcher: Watcher | None = None
        self._steering: Steering | None = None
        self._breakers = Breakers(self._wake.set)
        self._trouble: Trouble | None = None
        # The last plan, what it was made of, and whether there was nothing to do and nobody at work.
        self._planned: tuple[Found, Plan, bool] | None = None
        self._paused_since: float | None = None
        self._control = Control() if control is None else control
        self._control.attend(self._refuse, self._wake.set)
        status.control = self._control

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, or in single mode until every file is done.

        Stopping takes seconds: no further file is begun, the extraction under way is ended, the embedding ends after
        its batch, and files in flight are done again at the next start. Raises StateError or StoreError if the state
        can't be kept, what the source raises that is not about one file, and in single mode what a
        :class:`~rag_pipeline.sources.following.source.SourceUnavailableError` ends with, or DeletionsHeldError.
        """
        end = "stopped"
        is_over = False
        try:
            steering = self._begin(stop)
            try:
                if not self._single:
                    self._watcher = self._source.watch(self._hint, stop)
                while not stop.is_set() and not (is_over := self._turn(steering, stop)):
                    self._wake.wait(TICK_SECONDS)
                    self._wake.clear()
            finally:
                self._end_work(stop)
            self._raise_failure()
            if is_over and self._brake.held:
                raise DeletionsHeldError(self._held_message())
        except Stopped:
            pass
        except Exception as error:
            end = "error"
            self._shown.error(str(error))
            raise
        finally:
            self._control.close()
            if end == "stopped":
                self._shown.stopped()

    # -- the begin and the end -------------------------------------------------------------------------------------

    def _begin(self, stop: threading.Event) -> Steering:
        files = self._parts.store.files(self._scope)
        stored = {key: file.content_hash for key, file in files.items()}
        self._moves = Moves({key: (file.size, file.modified_at) for key, file in files.items()})
        self._shown.starting(self._source.shown, stored=len(stored))
        known = self._known(stored, {key: file.name for key, file in files.items()})
        self._place = Place(self._ledger, self._scope, self._source.place)
        self._crew: WorkerPool[Job] = WorkerPool(
            lambda key, job: self._jobs.do(key, job),
            threads=self._workers,
            name=self._source.kind,
            on_change=self._wake.set,
            held=lambda: self._control.paused or self._breakers.holds(),
            # One that was put back is in flight.
            counts=lambda job: isinstance(job, Read) and not self._jobs.is_in_flight(job.file.file_id),
            alone=lambda job: isinstance(job, Read) and self._jobs.is_suspect(job.file),
        )
        self._deaths = Deaths(self._ledger)
        ingestion = Ingestion(
            self._status, self._parts, self._source, self._scope, stop, called_off=self._crew.is_called_off
        )
        records = Records(self._ledger, known, stored, self._unreported(known), self._crew.lock)
        self._jobs = Jobs(
            ingestion, self._source, self._parts, records, self._scope, self._breakers, self._deaths, self._crew,
            retry=not self._single,
        )  # fmt: skip
        self._steering = Steering(
            self._control, self._crew, self._jobs, self._timetable, self._brake, single=self._single
        )
        return self._steering

    def _known(self, stored: dict[str, str], names: Mapping[str, str]) -> dict[str, Row]:
        """Return the rows to start with, and put them into the ledger if they are others than there."""
        rows = self._ledger.rows()
        known = reconcile(rows, stored, self._parts.recipe, steady_now())
        for key, row in known.items():
            if row.name is None and key in names:
                known[key] = row._replace(name=names[key])
        if known != rows:
            self._ledger.reset(known)
        return known

    def _unreported(self, known: Mapping[str, Row]) -> dict[str, str]:
        """Return the names, by id, of the files whose outcome the status does not show; for the start.

        What a kill interrupted is shown as failed, though all but its last event may have been done; so is what was
        interrupted before a start that was killed before it came to this.
        """
        core = core_of(self._status)
        kept = None if core.resumed_from is None else Reported(*core.resumed_from)
        failed = {key: key for key in core.failed_ids if (row := known.get(key)) is None or not has_failed(row)}
        interrupted = {file.id: file.name for file in core.interrupted if file.id is not None}
        return self._ledger.unreported(kept, failed | interrupted)

    def _end_work(self, stop: threading.Event) -> None:
        # A pass that is over has nobody at work; an error in the loop leaves workers that have to be told.
        stop.set()
        self._deaths.excuse()
        self._parts.extractor.close()
        if not self._crew.close(STOP_SECONDS):
            about = logs.about(self._status.pipeline_id)
            logger.warning("a file was still being worked on %g seconds after the stop", STOP_SECONDS, extra=about)

    # -- the parts of a turn ---------------------------------------------------------------------------------------

    def _turn(self, steering: Steering, stop: threading.Event) -> bool:
        """Look if it is time, show where things stand; returns whether a single pass is over."""
        self._raise_failure()
        steering.serve()
        self._follow_pause()
        self._follow_trouble()
        trouble = self._jobs.take_trouble()
        if trouble is not None:
            self._unavailable(trouble, steering, checked=False)
        if not self._control.paused and self._timetable.is_due(time.monotonic()):
            self._look(steering, stop)
        idle = self._crew.idle
        # A job that ends in "again" says so before it is over, so that looking at idle first misses nothing.
        again = self._jobs.again or self._jobs.trouble is not None or self._looks_again
        if self._jobs.again and (idle or not self._single):
            self._timetable.hint()
        self._show_progress(idle=idle and not self._waiting)
        return self._single and idle and not self._waiting and not again

    def _show_progress(self, *, idle: bool) -> None:
        stored = len(self._jobs.stored)
        if self._available:
            self._shown.progress(idle=idle, queued=self._crew.queued + self._unsettled, stored=stored)
        else:
            self._shown.stored(stored)

    def _follow_trouble(self) -> None:
        """Show which dependency fails, and let one file try when its time has come."""
        if self._trouble is not None and self._crew.idle:
            self._breakers.rest()
        before, now = self._trouble, self._breakers.trouble
        about = logs.about(self._status.pipeline_id)
        if now is not None:
            if self._single and self._breakers.trips >= SINGLE_TRIPS:
                raise now.error
            self._crew.wake()
            if before is None or before.message != now.message:
                logger.warning("%s; the queue waits and goes on by itself", now.message, extra=about)
        elif before is not None:
            logger.info("%s works again", before.dependency, extra=about)
            self._crew.wake()
        self._trouble = now
        self._shown.troubled(now)

    def _follow_pause(self) -> None:
        since = self._control.paused_since
        if since is None:
            # Also for a pause that came and went between two turns.
            self._crew.wake()
        if since == self._paused_since:
            return
        self._paused_since = since
        if since is None:
            self._shown.resumed()
            self._timetable.ask()
        else:
            self._shown.paused(since)

    def _look(self, steering: Steering, stop: threading.Event) -> None:
        def check() -> None:
            if stop.is_set() or self._control.paused:
                raise Stopped
            steering.serve()
            self._shown.still_looking()

        was_asked = self._timetable.begin()
        if self._jobs.take_again() or was_asked or self._brake.looks_again:
            self._source.doubt()
        self._jobs.take_trouble()
        began = time.monotonic()
        self._shown.looking()
        try:
            found = self._confirmed(self._source.look(check), check)
            is_another = self._place.confirm(found, self._jobs.known, self._crew.lock)
        except SourceUnavailableError as error:
            self._unavailable(error, steering, checked=True)
        except Stopped:
            if stop.is_set():
                raise
            self._timetable.ask()  # it was paused, and looks again when it goes on
        else:
            if is_another and self._watcher is not None:
                self._watcher.renew()
            self._take(found, steering, began)

    def _confirmed(self, found: Found, check: Check) -> Found:
        """Return what there is, after a look for the known files that were not found."""
        if found.confirm is None:
            return found
        with self._crew.lock:
            known = {*self._jobs.known, *self._jobs.stored, *self._jobs.unended()}
        return found.confirm(known - found.files.keys() - found.oddities.keys(), check)

    def _take(self, found: Found, steering: Steering, began: float) -> None:
        self._available = True
        steering.looked(found.files)
        # A confirmation that came during the scan is about what was held before it.
        steering.serve()
        held_before = self._brake.held
        made = self._hand_out(found)
        self._show_held(held_before)
        gave_up = time.monotonic() >= self._settle_deadline
        waiting = [] if gave_up else made.waiting
        self._waiting = len(waiting)
        self._unsettled = sum(not self._jobs.is_in_flight(file.file_id) for file in waiting)
        wakes = [made.wake_seconds, SECOND_LOOK_SECONDS if self._looks_again else None]
        wake = min((seconds for seconds in wakes if seconds is not None), default=None)
        wait = self._timetable.end(began, time.monotonic(), wake)
        self._shown.looked(self._source.shown, wait, watching=self._watching())

    @property
    def _looks_again(self) -> bool:
        """Whether a scan is due soon, because of files that the last one has missed."""
        return self._brake.looks_again or self._moves.waits

    def _show_held(self, before: int) -> None:
        """Note how many deletions are held; the log has a line when that begins."""
        held = self._brake.held
        message = self._held_message() if held else None
        self._shown.held(held, message)
        if held and not before:
            logger.warning("%s: %s", self._source.place, message, extra=logs.about(self._status.pipeline_id))

    def _held_message(self) -> str:
        command = f"`rag-pipeline control {shlex.quote(self._status.pipeline_id)} confirm {self._brake.held}`"
        return self._brake.message("--confirm-deletions" if self._single else command)

    def _unavailable(self, error: SourceUnavailableError, steering: Steering, *, checked: bool) -> None:
        if self._single:
            raise error.end(self._source.place)
        if self._available is not False:
            logger.warning("%s: %s", self._source.place, error, extra=logs.about(self._status.pipeline_id))
        self._available = False
        # Files that can't be had any more would only fail.
        self._crew.replace(lambda _: {})
        self._waiting = self._unsettled = 0
        steering.away()
        wait = self._timetable.back_off(time.monotonic(), error.retry_seconds)
        if not self._control.paused:
            self._shown.unavailable(str(error), wait, watching=self._watching(), checked=checked)

    def _hand_out(self, found: Found) -> Plan:
        # What a source with `confirm` says of missing files may change though it has found the same.
        if self._planned is not None and self._planned[0] is found and found.confirm is None:
            _, new, was_over = self._planned
            # Nothing has changed: what is left of the plan is the plan. What has failed comes after it anyway.
            if new.wake_seconds is None and not new.gone and (was_over or self._crew.pending):
                return new
        made: list[Plan] = []
        is_over = False

        def make(busy: frozenset[str]) -> Mapping[str, Job]:
            wall, mono = time.time(), time.monotonic()
            known, order, unended = self._jobs.known, self._jobs.order, self._jobs.unended()
            new = plan(
                known, found, self._settling, order,
                busy=busy, unended=unended, wall=wall, mono=mono, steady=steady_now(),
            )  # fmt: skip
            made.append(new)
            nonlocal is_over
            self._jobs.missed(new.gone)
            missing = self._moves.judge(
                new.gone,
                found.files,
                lambda: [*busy, *(file.file_id for file in (*new.work, *new.waiting))],
                lambda key: key in self._jobs.stored and not found.gone(key),
                lambda key: self._jobs.is_elsewhere(key, found.files),
                lambda key: key in known or key in busy,
            )
            gone = missing.moved + self._brake.judge(missing.gone, known, busy, found.gone)
            # What a death of the process interrupted, or what takes up all its time, comes last of all.
            jobs: dict[str, Job] = {key: Forget(key) for key in gone}
            jobs.update((odd.file_id, Note(odd)) for odd in new.notes)
            jobs.update((file.file_id, Read(file)) for file in sorted(new.work, key=self._jobs.is_suspect))
            if new.waiting and self._single:
                jobs.update((file.file_id, Give(file)) for file in new.waiting if self._gave_up_waiting(mono))
            is_over = not jobs and not busy
            return jobs

        self._crew.replace(make)
        self._planned = (found, made[0], is_over)
        return made[0]

    def _gave_up_waiting(self, mono: float) -> bool:
        self._settle_deadline = min(self._settle_deadline, mono + SINGLE_SETTLE_SECONDS)
        return mono >= self._settle_deadline

    def _raise_failure(self) -> None:
        failure = self._crew.failure
        if failure is not None and not isinstance(failure, Stopped):
            raise failure

    # -- from other threads ----------------------------------------------------------------------------------------

    def _refuse(self, request: Request) -> str | None:
        action, file_id, _ = request
        if self._steering is not None:
            return self._steering.refuse(request)
        if action is Action.PAUSE and self._single:
            return SINGLE_PASS
        if action is Action.CONFIRM:
            return NOTHING_HELD
        return None if file_id is None else "the pipeline is still starting"

    def _watching(self) -> str | None:
        if self._single:
            return None
        return "events" if self._watcher is not None and self._watcher.active else "interval"

    def _hint(self) -> None:
        self._timetable.hint()
        self._wake.set()
