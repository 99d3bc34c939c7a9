"""Handles control requests to a running pipeline: decides which to refuse, and carries out the others."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.common.normal_forms import nfc, nfd
from rag_pipeline.sources.following.deletion_brake import NOTHING_HELD, DeletionBrake
from rag_pipeline.sources.following.job_runner import JobRunner, has_failed
from rag_pipeline.sources.following.jobs import Ingest, Job
from rag_pipeline.sources.following.schedule import ScanSchedule
from rag_pipeline.sources.ledger import LedgerRow
from rag_pipeline.sources.source import FoundFile
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status.control import Action, Control, ControlRequest

SINGLE_PASS = "a single pass can't be paused: stop it, the next one goes on from there"


class ControlHandler:
    """Carries out control requests.

    :meth:`refuse` is called by the requester's thread and takes no lock, so that nobody waits for the pipeline; its
    answer may be outdated a moment later. The other methods belong to the run loop's thread.
    """

    def __init__(
        self,
        control: Control,
        pool: WorkerPool[Job],
        jobs: JobRunner,
        schedule: ScanSchedule,
        brake: DeletionBrake,
        *,
        single: bool,
    ) -> None:
        self._files: Mapping[str, FoundFile] = {}
        self._control = control
        self._pool = pool
        self._jobs = jobs
        self._schedule = schedule
        self._brake = brake
        self._single = single
        self._retry_later: set[str] = set()  # shown as failed, while the job is still ending

    def refuse(self, request: ControlRequest) -> str | None:
        """Return why a request is refused, None if it is granted."""
        action, file_id, count = request
        if action is Action.PAUSE and self._single:
            return SINGLE_PASS
        if action is Action.CONFIRM and not self._brake.held:
            return NOTHING_HELD
        if count is not None and self._brake.held > count:
            return f"{self._brake.held:,} files are gone by now, not {count:,}: confirm that number"
        if file_id is None:
            return None
        file_id = self._known_id(file_id)
        row, has_job = self._jobs.rows.get(file_id), self._pool.has(file_id)
        unreported = self._jobs.unreported.get(file_id)
        if row is None and not has_job and unreported is None:
            return f"no file with the id {file_id!r} is known"
        name = (row and row.name) or unreported or file_id
        if action is Action.RETRY and not self._may_retry(file_id, row):
            return f"{name} has not failed"
        if action is Action.POSTPONE and not has_job:
            return f"{name} is neither in flight nor queued"
        return None

    def set_files(self, files: Mapping[str, FoundFile]) -> None:
        """Set the files that the last scan found."""
        self._files = files

    def source_unavailable(self) -> None:
        """Forget the files of the last scan: retries wait until a scan finds their file."""
        self._files = {}
        self._brake.source_unavailable()

    def apply_requests(self) -> None:
        """Carry out the requests since the last call. Raises StateError if the ledger can't be written."""
        retries, self._retry_later = self._retry_later, set()
        for failed_id in retries:
            self._retry(failed_id)
        for action, file_id, count in self._control.take():
            if action is Action.CONFIRM:
                self._brake.confirm(count)
            if file_id is None:
                self._schedule.request()
            elif action is Action.RETRY:
                self._retry(self._known_id(file_id))
            else:
                self._cancel(self._known_id(file_id))

    def _known_id(self, file_id: str) -> str:
        """Return the known id: a typed name may have another Unicode normal form."""
        forms = (file_id,) if file_id.isascii() else (file_id, nfc(file_id), nfd(file_id))
        return next((form for form in forms if self._is_known(form)), file_id)

    def _is_known(self, file_id: str) -> bool:
        jobs = self._jobs
        return file_id in jobs.rows or file_id in jobs.unreported or self._pool.has(file_id)

    def _may_retry(self, file_id: str, row: LedgerRow | None) -> bool:
        # Files that the last process left unreported are shown as failed (Interrupted), and are done again anyway.
        return (row is not None and has_failed(row)) or file_id in self._jobs.unreported

    def _retry(self, file_id: str) -> None:
        with self._pool.lock:
            row = self._jobs.rows.get(file_id)
            if not self._may_retry(file_id, row):
                return
            if self._pool.is_busy(file_id):
                if not self._jobs.is_in_flight(file_id):
                    self._retry_later.add(file_id)
                return
            file = self._files.get(file_id)
            is_unchanged = file is not None and row is not None and row.version == file.version
            if row is not None and has_failed(row):
                self._jobs.retry(file_id)
            self._jobs.priorities.prioritize(file_id)
            if file is not None and (is_unchanged or self._pool.has(file_id)):
                self._pool.prioritize(file_id, Ingest(file))
            else:
                self._schedule.request()

    def _cancel(self, file_id: str) -> None:
        with self._pool.lock:
            if self._pool.cancel(file_id) and not self._pool.is_busy(file_id):
                self._jobs.priorities.postpone(file_id)
