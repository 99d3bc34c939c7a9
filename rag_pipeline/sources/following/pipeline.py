"""The run loop of a pipeline: scan the source, plan the work, hand it to the workers, report; until it is stopped."""

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
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers, OpenCircuit
from rag_pipeline.sources.following.control_handler import SINGLE_PASS, ControlHandler
from rag_pipeline.sources.following.crash_counter import CrashCounter
from rag_pipeline.sources.following.deletion_brake import (
    DEFAULT_BRAKE,
    NOTHING_HELD,
    RESCAN_SECONDS,
    BrakeSettings,
    DeletionBrake,
)
from rag_pipeline.sources.following.job_runner import JobRunner, has_failed
from rag_pipeline.sources.following.jobs import DeleteFile, GiveUp, Ingest, Job, ReportUnreadable
from rag_pipeline.sources.following.move_detector import MoveDetector
from rag_pipeline.sources.following.plan import WorkPlan, make_plan
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.schedule import ScanSchedule
from rag_pipeline.sources.following.source_identity import SourceIdentity
from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.following.status_reporter import StatusReporter
from rag_pipeline.sources.following.steady_clock import steady_now
from rag_pipeline.sources.ingestion import Ingestion
from rag_pipeline.sources.ledger import EventPosition, Ledger, LedgerRow, reconcile
from rag_pipeline.sources.source import ChangeWatcher, Check, Snapshot, Source, SourceUnavailableError
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status.control import Action, Control, ControlRequest
from rag_pipeline.status.pipeline import PipelineStatus, core_of

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 8.0
SINGLE_SETTLE_SECONDS = 60.0
"""Seconds that a single pass waits for files that are still being written."""
SINGLE_TRIPS = 3
"""Failures of a dependency in a row after which a single pass ends with its error."""


class FollowingPipeline:
    """Follows one source: ingests new and changed files, and deletes the text of files that are gone.

    The thread that calls :meth:`run` runs the loop; ``workers`` threads do the jobs. ``stages``, ``ledger`` and
    ``status`` belong to the caller. Control requests come through ``control``, which ``status`` gets.
    """

    def __init__(
        self,
        status: PipelineStatus,
        source: Source,
        stages: Stages,
        ledger: Ledger,
        *,
        collection: str,
        mode: RunMode,
        check_interval_seconds: float,
        workers: int,
        brake: BrakeSettings = DEFAULT_BRAKE,
        control: Control | None = None,
    ) -> None:
        self._source = source
        self._stages = stages
        self._ledger = ledger
        self._collection = collection
        self._workers = workers
        self._reporter = StatusReporter(status, mode, check_interval_seconds)
        self._status = status
        self._single = mode is RunMode.SINGLE
        self._stability = StabilityCheck(source.settle_seconds)
        self._schedule = ScanSchedule(check_interval_seconds)
        self._brake = DeletionBrake(brake)
        self._wake = threading.Event()
        self._available: bool | None = None
        self._waiting = 0
        self._waiting_queued = 0  # waiting files that are not in flight
        self._settle_deadline = float("inf")
        self._watcher: ChangeWatcher | None = None
        self._handler: ControlHandler | None = None
        self._breakers = CircuitBreakers(self._wake.set)
        self._open_circuit: OpenCircuit | None = None
        # The last snapshot and its plan, and whether there was nothing to do and no job running.
        self._planned: tuple[Snapshot, WorkPlan, bool] | None = None
        self._paused_since: float | None = None
        self._control = Control() if control is None else control
        self._control.attend(self._refuse, self._wake.set)
        status.control = self._control

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, or in single mode until every file is done.

        Stopping takes seconds: no file starts, running extractions end, embedding ends after its batch, and files in
        flight are ingested at the next start. Raises StateError or StoreError if the state can't be kept, any error of
        the source that is not about one file, and in single mode the error that a
        :class:`~rag_pipeline.sources.source.SourceUnavailableError` ends with, or DeletionsHeldError.
        """
        end = "stopped"
        is_over = False
        try:
            handler = self._begin(stop)
            try:
                if not self._single:
                    self._watcher = self._source.watch(self._on_change, stop)
                while not stop.is_set() and not (is_over := self._turn(handler, stop)):
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
            self._reporter.error(str(error))
            raise
        finally:
            self._control.close()
            if end == "stopped":
                self._reporter.stopped()

    # -- start and end ---------------------------------------------------------------------------------------------

    def _begin(self, stop: threading.Event) -> ControlHandler:
        files = self._stages.store.files(self._collection)
        stored = {key: file.content_hash for key, file in files.items()}
        self._moves = MoveDetector({key: (file.size, file.modified_at) for key, file in files.items()})
        self._reporter.starting(self._source.status_fields, stored=len(stored))
        rows = self._reconciled_rows(stored, {key: file.name for key, file in files.items()})
        self._identity = SourceIdentity(self._ledger, self._collection, self._source.location)
        self._pool: WorkerPool[Job] = WorkerPool(
            lambda key, job: self._jobs.run(key, job),
            threads=self._workers,
            name=self._source.kind,
            on_change=self._wake.set,
            is_held=lambda: self._control.paused or self._breakers.holds(),
            # Files that were put back are in flight, not queued.
            is_counted=lambda job: isinstance(job, Ingest) and not self._jobs.is_in_flight(job.file.file_id),
            is_exclusive=lambda job: isinstance(job, Ingest) and self._jobs.is_suspect(job.file),
        )
        self._crashes = CrashCounter(self._ledger)
        ingestion = Ingestion(
            self._status, self._stages, self._source, self._collection, stop, is_cancelled=self._pool.is_cancelled
        )
        records = Records(self._ledger, rows, stored, self._find_unreported(rows), self._pool.lock)
        self._jobs = JobRunner(
            ingestion, self._source, self._stages, records, self._collection, self._breakers, self._crashes, self._pool,
            retry=not self._single,
        )  # fmt: skip
        self._handler = ControlHandler(
            self._control, self._pool, self._jobs, self._schedule, self._brake, single=self._single
        )
        return self._handler

    def _reconciled_rows(self, stored: dict[str, str], names: Mapping[str, str]) -> dict[str, LedgerRow]:
        """Return the rows to start with; the ledger gets those that differ."""
        before = self._ledger.rows()
        rows = reconcile(before, stored, self._stages.config_hash, steady_now())
        for key, row in rows.items():
            if row.name is None and key in names:
                rows[key] = row._replace(name=names[key])
        if rows != before:
            self._ledger.replace_all(rows)
        return rows

    def _find_unreported(self, rows: Mapping[str, LedgerRow]) -> dict[str, str]:
        """Return the names, by id, of the files whose outcome the status does not show.

        The status shows files that a kill interrupted as failed, though only their last event may be missing; also
        files of an earlier kill, if the start after it was killed too soon.
        """
        core = core_of(self._status)
        last_kept = None if core.resumed_from is None else EventPosition(*core.resumed_from)
        failed = {key: key for key in core.failed_ids if (row := rows.get(key)) is None or not has_failed(row)}
        interrupted = {file.id: file.name for file in core.interrupted if file.id is not None}
        return self._ledger.find_unreported(last_kept, failed | interrupted)

    def _end_work(self, stop: threading.Event) -> None:
        # After an error in the loop the workers still run and must be told to stop.
        stop.set()
        self._crashes.stop_counting()
        self._stages.extractor.close()
        if not self._pool.close(STOP_SECONDS):
            about = logs.about(self._status.pipeline_id)
            logger.warning("a file was still being ingested %g seconds after the stop", STOP_SECONDS, extra=about)

    # -- the loop --------------------------------------------------------------------------------------------------

    def _turn(self, handler: ControlHandler, stop: threading.Event) -> bool:
        """Scan if it is time, and report; return whether a single pass is over."""
        self._raise_failure()
        handler.apply_requests()
        self._follow_pause()
        self._follow_circuit()
        unavailable = self._jobs.take_unavailable()
        if unavailable is not None:
            self._source_unavailable(unavailable, handler, checked=False)
        if not self._control.paused and self._schedule.is_due(time.monotonic()):
            self._scan(handler, stop)
        # Read idle first: a job asks for a rescan before it ends, so nothing is missed.
        idle = self._pool.idle
        wants_more = self._jobs.wants_rescan or self._jobs.unavailable is not None or self._needs_rescan
        if self._jobs.wants_rescan and (idle or not self._single):
            self._schedule.wake()
        self._show_progress(idle=idle and not self._waiting)
        return self._single and idle and not self._waiting and not wants_more

    def _show_progress(self, *, idle: bool) -> None:
        stored = len(self._jobs.stored)
        if self._available:
            self._reporter.progress(idle=idle, queued=self._pool.queued + self._waiting_queued, stored=stored)
        else:
            self._reporter.stored(stored)

    def _follow_circuit(self) -> None:
        """Show which dependency fails, and wake a worker for the trial when it is due."""
        if self._open_circuit is not None and self._pool.idle:
            self._breakers.close_due()
        before, now = self._open_circuit, self._breakers.open_circuit
        about = logs.about(self._status.pipeline_id)
        if now is not None:
            if self._single and self._breakers.trips >= SINGLE_TRIPS:
                raise now.error
            self._pool.wake()
            if before is None or before.message != now.message:
                logger.warning("%s; the queue waits and goes on by itself", now.message, extra=about)
        elif before is not None:
            logger.info("%s works again", before.dependency, extra=about)
            self._pool.wake()
        self._open_circuit = now
        self._reporter.set_open_circuit(now)

    def _follow_pause(self) -> None:
        since = self._control.paused_since
        if since is None:
            # Also for a pause that began and ended between two turns.
            self._pool.wake()
        if since == self._paused_since:
            return
        self._paused_since = since
        if since is None:
            self._reporter.resumed()
            self._schedule.request()
        else:
            self._reporter.paused(since)

    def _scan(self, handler: ControlHandler, stop: threading.Event) -> None:
        def check() -> None:
            if stop.is_set() or self._control.paused:
                raise Stopped
            handler.apply_requests()
            self._reporter.scan_continues()

        was_requested = self._schedule.begin()
        if self._jobs.take_rescan_request() or was_requested or self._brake.needs_rescan:
            self._source.recheck_root()
        self._jobs.take_unavailable()
        began = time.monotonic()
        self._reporter.scan_started()
        try:
            snapshot = self._confirm_missing(self._source.scan(check), check)
            is_replaced = self._identity.check(snapshot, self._jobs.rows, self._pool.lock)
        except SourceUnavailableError as error:
            self._source_unavailable(error, handler, checked=True)
        except Stopped:
            if stop.is_set():
                raise
            self._schedule.request()  # paused: scan when it resumes
        else:
            if is_replaced and self._watcher is not None:
                self._watcher.renew()
            self._apply(snapshot, handler, began)

    def _confirm_missing(self, snapshot: Snapshot, check: Check) -> Snapshot:
        """Return a snapshot in which the source has confirmed which known files are missing."""
        if snapshot.confirm_missing is None:
            return snapshot
        with self._pool.lock:
            known = {*self._jobs.rows, *self._jobs.stored, *self._jobs.unfinished()}
        return snapshot.confirm_missing(known - snapshot.files.keys() - snapshot.unreadable.keys(), check)

    def _apply(self, snapshot: Snapshot, handler: ControlHandler, began: float) -> None:
        """Turn the snapshot into jobs, and show the end of the scan."""
        self._available = True
        handler.set_files(snapshot.files)
        # A confirmation that came during the scan is about the deletions that were held before it.
        handler.apply_requests()
        held_before = self._brake.held
        plan = self._hand_out(snapshot)
        self._show_held(held_before)
        gave_up = time.monotonic() >= self._settle_deadline
        waiting = [] if gave_up else plan.waiting
        self._waiting = len(waiting)
        self._waiting_queued = sum(not self._jobs.is_in_flight(file.file_id) for file in waiting)
        wakes = [plan.wake_seconds, RESCAN_SECONDS if self._needs_rescan else None]
        wake = min((seconds for seconds in wakes if seconds is not None), default=None)
        wait = self._schedule.end(began, time.monotonic(), wake)
        self._reporter.scan_ended(self._source.status_fields, wait, watching=self._watching())

    @property
    def _needs_rescan(self) -> bool:
        """Whether a scan is due soon, because the last one missed files."""
        return self._brake.needs_rescan or self._moves.is_waiting

    def _show_held(self, before: int) -> None:
        """Show how many deletions are held; log it when that begins."""
        held = self._brake.held
        message = self._held_message() if held else None
        self._reporter.deletions_held(held, message)
        if held and not before:
            logger.warning("%s: %s", self._source.location, message, extra=logs.about(self._status.pipeline_id))

    def _held_message(self) -> str:
        command = f"`rag-pipeline control {shlex.quote(self._status.pipeline_id)} confirm {self._brake.held}`"
        return self._brake.message("--confirm-deletions" if self._single else command)

    def _source_unavailable(self, error: SourceUnavailableError, handler: ControlHandler, *, checked: bool) -> None:
        if self._single:
            raise error.end(self._source.location)
        if self._available is not False:
            logger.warning("%s: %s", self._source.location, error, extra=logs.about(self._status.pipeline_id))
        self._available = False
        # Their files would only fail.
        self._pool.replace_pending(lambda _: {})
        self._waiting = self._waiting_queued = 0
        handler.source_unavailable()
        wait = self._schedule.back_off(time.monotonic(), error.retry_seconds)
        if not self._control.paused:
            self._reporter.unavailable(str(error), wait, watching=self._watching(), checked=checked)

    def _hand_out(self, snapshot: Snapshot) -> WorkPlan:
        """Plan the work and replace the pool's pending jobs by it."""
        # With `confirm_missing` the answer about missing files may change though the scan has found the same.
        if self._planned is not None and self._planned[0] is snapshot and snapshot.confirm_missing is None:
            _, plan, was_over = self._planned
            # Nothing has changed: the pending jobs are the plan. Failed files come after them anyway.
            if plan.wake_seconds is None and not plan.missing and (was_over or self._pool.pending):
                return plan
        plans: list[WorkPlan] = []
        is_over = False

        def make(busy: frozenset[str]) -> Mapping[str, Job]:
            wall, mono = time.time(), time.monotonic()
            plan = make_plan(
                self._jobs.rows, snapshot, self._stability, self._jobs.priorities,
                busy=busy, unfinished=self._jobs.unfinished(), wall=wall, mono=mono, steady=steady_now(),
            )  # fmt: skip
            plans.append(plan)
            nonlocal is_over
            jobs = self._jobs_of(plan, snapshot, busy, mono)
            is_over = not jobs and not busy
            return jobs

        self._pool.replace_pending(make)
        self._planned = (snapshot, plans[0], is_over)
        return plans[0]

    def _jobs_of(self, plan: WorkPlan, snapshot: Snapshot, busy: frozenset[str], mono: float) -> dict[str, Job]:
        """Return the jobs of a plan, by file id, in order; the lock is held."""
        rows = self._jobs.rows
        self._jobs.set_missing(plan.missing)
        missing = self._moves.classify(
            plan.missing,
            snapshot.files,
            not_ingested=lambda: [*busy, *(file.file_id for file in (*plan.ingest, *plan.waiting))],
            may_have_moved=lambda key: key in self._jobs.stored and not snapshot.is_gone(key),
            has_copy=lambda key: self._jobs.has_copy(key, snapshot.files),
            is_tracked=lambda key: key in rows or key in busy,
        )
        deletions = missing.moved + self._brake.release(missing.gone, rows, busy, snapshot.is_gone)
        jobs: dict[str, Job] = {key: DeleteFile(key) for key in deletions}
        jobs.update((entry.file_id, ReportUnreadable(entry)) for entry in plan.unreadable)
        # Suspects come last.
        jobs.update((file.file_id, Ingest(file)) for file in sorted(plan.ingest, key=self._jobs.is_suspect))
        if plan.waiting and self._single:
            jobs.update((file.file_id, GiveUp(file)) for file in plan.waiting if self._gave_up_waiting(mono))
        return jobs

    def _gave_up_waiting(self, mono: float) -> bool:
        self._settle_deadline = min(self._settle_deadline, mono + SINGLE_SETTLE_SECONDS)
        return mono >= self._settle_deadline

    def _raise_failure(self) -> None:
        failure = self._pool.failure
        if failure is not None and not isinstance(failure, Stopped):
            raise failure

    # -- called by other threads -----------------------------------------------------------------------------------

    def _refuse(self, request: ControlRequest) -> str | None:
        action, file_id, _ = request
        if self._handler is not None:
            return self._handler.refuse(request)
        if action is Action.PAUSE and self._single:
            return SINGLE_PASS
        if action is Action.CONFIRM:
            return NOTHING_HELD
        return None if file_id is None else "the pipeline is still starting"

    def _watching(self) -> str | None:
        if self._single:
            return None
        return "events" if self._watcher is not None and self._watcher.active else "interval"

    def _on_change(self) -> None:
        self._schedule.wake()
        self._wake.set()
