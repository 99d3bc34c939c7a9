"""Does one worker's jobs and records the outcome: in the store first, then the ledger, then the status."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace

from rag_pipeline.common import logs
from rag_pipeline.errors import ResourceError, StateError, StoreError
from rag_pipeline.sources.following.bulk_changes import LEDGER_DEPENDENCY, BulkChanges, ReuseBatch
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.content_owners import ContentOwners
from rag_pipeline.sources.following.crash_counter import CrashCounter, ProcessDiedError
from rag_pipeline.sources.following.job_batch import JobBatch
from rag_pipeline.sources.following.jobs import ContentHash, DeleteFile, GiveUp, Ingest, Job, ReportUnreadable
from rag_pipeline.sources.following.plan import is_renamed, keeps_type
from rag_pipeline.sources.following.priorities import Priorities
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.steady_clock import steady_now
from rag_pipeline.sources.ingest_result import (
    EMBEDDING_DEPENDENCY,
    MACHINE_DEPENDENCY,
    STORE_DEPENDENCY,
    DependencyFailure,
    IngestEnd,
    IngestResult,
    result_of_error,
)
from rag_pipeline.sources.ingestion import INTERRUPTED, STORING, WAITING, IngestHooks, Ingestion
from rag_pipeline.sources.ledger import OVERRUN_RETRY_SECONDS, LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile, Source, SourceUnavailableError, Unreadable
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.verdict import Verdict
from rag_pipeline.sources.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
RETRY_FACTOR = 4.0
MAX_RETRY_SECONDS = 3600.0


class JobRunner:
    """Does jobs on the workers' threads. The lock of ``records`` is the pool's; it protects ``priorities`` too.

    Files in ``records.unreported`` are ingested and reported once more, though nothing may be left to do. The run loop
    polls :meth:`take_rescan_request` and :meth:`take_unavailable`.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        source: Source,
        stages: Stages,
        records: Records,
        collection: str,
        breakers: CircuitBreakers,
        crashes: CrashCounter,
        pool: WorkerPool[Job],
        *,
        retry: bool,
    ) -> None:
        self.rows, self.stored, self.unreported = records.rows, records.stored, records.unreported
        self.priorities = Priorities()
        self.wants_rescan = False
        self.unavailable: SourceUnavailableError | None = None
        self._records = records
        self._lock = records.lock
        self._breakers = breakers
        self._crashes = crashes
        self._ingestion = ingestion
        self._source = source
        self._stages = stages
        self._collection = collection
        self._retry = retry
        self._owners = ContentOwners(records, pool)
        self._changes = BulkChanges(
            ingestion, stages.store, collection, stages.config_hash, records, breakers, self._owners
        )
        self._pool = pool

    def run(self, key: str, job: Job) -> bool:
        """Do one job, and others that go well together with it; return whether to put this one back.

        Raises StateError if the ledger can't be used at all.
        """
        batch = JobBatch(self._pool, self._breakers, key, job)
        try:
            self._run(batch, key, job)
        except StateError as error:
            if not error.retryable:
                raise
            self._breakers.trip(LEDGER_DEPENDENCY, error, key, may_blame=False)  # no file is to blame for a full disk
            batch.finish_all(put_back=True)
        finally:
            batch.finish_all()
        return batch.put_back_first

    def _run(self, batch: JobBatch, key: str, job: Job) -> None:
        match job:
            case Ingest():
                self._ingest_some(batch, job)
            case GiveUp(file):
                message = f"{file.name} is still being written to"
                error = {"type": "StillChanging", "message": message, "stage": WAITING, "retryable": True}
                batch.finish([key], put_back=self._record(file, IngestResult(IngestEnd.FAILED, error=error)))
            case ReportUnreadable(entry):
                batch.finish([key], put_back=self._report_unreadable(entry))
            case DeleteFile():
                self._changes.delete(batch, self.unfinished())

    # -- for the run loop ------------------------------------------------------------------------------------------

    def set_missing(self, file_ids: Collection[str]) -> None:
        """Set the known files that the last scan missed; the lock is held."""
        self._owners.missing = frozenset(file_ids)

    def unfinished(self) -> dict[str, str]:
        """Return the names, by id, of files whose outcome must be shown: in flight, or not reported."""
        return {**self.unreported, **self._ingestion.in_flight}

    def is_suspect(self, file: FoundFile) -> bool:
        """Return whether the file killed the process or overran: it is done last, and beside no other suspect.

        A file that overran stays a suspect when it changes, because its author can write another like it.
        """
        row = self.rows.get(file.file_id)
        return self._crashes.is_suspect(file) or (row is not None and row.overran)

    def is_in_flight(self, file_id: str) -> bool:
        """Return whether the status has a file in flight; only the file's own job changes that."""
        return self._ingestion.is_in_flight(file_id)

    def has_copy(self, key: str, found: Mapping[str, FoundFile]) -> bool:
        """Return whether a file's text is also stored under the id of another found file; the lock is held."""
        row = self.rows.get(key)
        # After a move that the ledger could not record, the old file has no more than its row.
        row_fingerprint = row.fingerprint if row is not None and row.outcome is Outcome.STORED else None
        fingerprint = self.stored.get(key, row_fingerprint)
        if fingerprint is None:
            return False
        return any(other != key and other in found for other in self._records.with_content(fingerprint))

    def take_unavailable(self) -> SourceUnavailableError | None:
        """Return why the source could not be read since the last call, None if it could."""
        with self._lock:
            unavailable, self.unavailable = self.unavailable, None
        return unavailable

    def take_rescan_request(self) -> bool:
        """Return whether a job has asked for a scan since the last call."""
        with self._lock:
            wanted, self.wants_rescan = self.wants_rescan, False
        return wanted

    def retry(self, file_id: str) -> None:
        """Make a failed file due again, with all its attempts; the lock is held."""
        row = self.rows[file_id]
        self._crashes.clear(file_id)
        if row.outcome is Outcome.UNREADABLE:
            self._records.put(file_id, row._replace(version=None))
        else:
            self._records.put(file_id, row._replace(attempts=0, retry_at=0.0))

    # -- ingestion -------------------------------------------------------------------------------------------------

    def _ingest_some(self, batch: JobBatch, job: Ingest) -> None:
        """Ingest a file. If its text is stored already, take the next files too, and store them together."""
        with ReuseBatch(self._changes, batch) as reuses:
            taken: tuple[str, Job] | None = (job.file.file_id, job)
            while taken is not None:
                key, job = taken[0], taken[1] if isinstance(taken[1], Ingest) else job
                put_back = self._ingest(job, reuses)
                if put_back is not None:
                    batch.finish([key], put_back=put_back)
                taken = reuses.take_next()
            reuses.apply()

    def _ingest(self, job: Ingest, reuses: ReuseBatch) -> bool | None:
        """Ingest a file; return whether to put it back, None if it waits in ``reuses``."""
        file = job.file
        key = file.file_id
        with self._lock:
            self.priorities.clear(key)
            row, stored = self.rows.get(key), self.stored.get(key)
        if row is not None and is_renamed(file, row):
            if not keeps_type(file, row):
                stored = None  # with another suffix it may be extracted in another way
            elif row.version == file.version and key not in self.unreported:
                return self._rename(file, row)
        try:
            self._crashes.check(file)
        except ProcessDiedError as error:
            return self._record(file, result_of_error(error, file.name, INTERRUPTED), is_last=True)
        refused = row if row is not None and self._is_refused(file, row) else None
        try:
            result = self._ingest_content(job, refused, stored, reuses)
            if result.end is IngestEnd.UNCHANGED and refused is not None:
                # There is nothing to do, and nothing to show.
                self._records.put(key, refused._replace(version=file.version))
                self._mark_reported(key)
                return False
            if result.end is IngestEnd.REUSED:
                return None
            if result.is_unfinished:
                self._put_back(file, result)
                return result.end in (IngestEnd.CANCELLED, IngestEnd.BLOCKED)
            put_back = self._record(file, result)
        finally:
            self._owners.end_ingesting(key)
        if not put_back and self._has_changed(file):
            self._request_rescan()
        return put_back

    def _ingest_content(
        self, job: Ingest, refused: LedgerRow | None, stored: str | None, reuses: ReuseBatch
    ) -> IngestResult:
        """Take a file through the stages, unless the store has its text."""
        file = job.file
        hooks = IngestHooks(
            reuse=lambda fingerprint, size: reuses.add(file, ContentHash(fingerprint, size)),
            before_long=reuses.apply,
            ingesting=lambda: self._crashes.count(file),
            # Before the ledger is written, which may fail.
            stored=lambda fingerprint: self._records.set_stored({file.file_id: fingerprint}),
        )
        if job.content is not None and not self._has_changed(file):
            try:
                if (reused := reuses.add(file, job.content)) is not None:
                    return reused
            except StoreError:
                pass  # the same error comes again below, and is handled there
        result = self._ingestion.ingest(file, stored if refused is None else refused.fingerprint, hooks)
        if result.end is IngestEnd.UNCHANGED and refused is not None and self.is_in_flight(file.file_id):
            # The status shows its download, so it needs an outcome.
            result = self._ingestion.ingest(file, None, hooks)
        if result.failed_dependency is not None and self._is_to_blame(file.file_id, result.failed_dependency):
            result = result_of_error(result.failed_dependency.error, file.name, result.failed_dependency.dependency)
        return result

    def _is_refused(self, file: FoundFile, row: LedgerRow) -> bool:
        """Return whether the status shows that this content was refused for good, or overran and is not due yet.

        The same content would be refused again.
        """
        key = file.file_id
        waits = row.overran and row.retry_at is not None and row.retry_at > steady_now()
        is_lasting = row.outcome is Outcome.SKIPPED or (row.outcome is Outcome.FAILED and row.retry_at is None)
        if row.fingerprint is None or is_renamed(file, row) or not (waits or (is_lasting and key not in self.stored)):
            return False
        return key not in self.unreported and not self.is_in_flight(key)

    def _put_back(self, file: FoundFile, result: IngestResult) -> None:
        self._ingestion.report(file, result, shown_as_done=False)
        with self._lock:
            if result.end in (IngestEnd.CANCELLED, IngestEnd.BLOCKED):
                self.priorities.postpone(file.file_id)
            elif result.end is IngestEnd.CHANGED:
                self.wants_rescan = True
            elif result.end is IngestEnd.UNAVAILABLE:
                self.unavailable = result.unavailable
                self.priorities.postpone(file.file_id)  # the others go first, in case only this file is the cause

    def _is_to_blame(self, key: str, failure: DependencyFailure) -> bool:
        """Open the breaker of the dependency; return True if the file is the cause, because others pass."""
        error = failure.error
        may_blame = not isinstance(error, ResourceError) or error.may_be_of_file
        return self._breakers.trip(failure.dependency, error, key, may_blame=may_blame)

    # -- outcomes --------------------------------------------------------------------------------------------------

    def _record(self, file: FoundFile, result: IngestResult, *, is_last: bool = False) -> bool:
        """Record and report the outcome of a file; return True to put it back, because the store failed.

        With ``is_last`` the file is retried only when it changes or somebody asks for it.
        """
        key = file.file_id
        if result.removes_text and key in self.stored:
            try:
                self._delete_stored(key)
            except StoreError as error:
                if not self._is_to_blame(key, DependencyFailure(STORE_DEPENDENCY, error)):
                    self._put_back(file, IngestResult(IngestEnd.BLOCKED))
                    return True
                result = result_of_error(error, file.name, STORING)
        before = self.rows.get(key)
        if result.end is IngestEnd.UNCHANGED and before is not None:
            result = replace(result, verdict=Verdict.parse(before.verdict))
        row = self._row(file, result)
        if is_last:
            row = row._replace(retry_at=None)
        else:
            self._crashes.clear(key)
        if result.end is IngestEnd.UNCHANGED and before is not None and is_renamed(file, before):
            row = row if self._rename_stored(file) else row._replace(name=before.name)
        self._records.put(key, row)
        if result.end is IngestEnd.STORED:
            for dependency in (EMBEDDING_DEPENDENCY, STORE_DEPENDENCY, MACHINE_DEPENDENCY):
                self._breakers.succeeded(dependency, key)
        self._breakers.succeeded(LEDGER_DEPENDENCY, key)
        shown_as_done = before is not None and before.outcome is Outcome.STORED and key not in self.unreported
        self._ingestion.report(file, result, shown_as_done=shown_as_done)
        self._mark_reported(key)
        return False

    def _row(self, file: FoundFile, result: IngestResult) -> LedgerRow:
        config_hash, name = self._stages.config_hash, file.name
        if result.end in (IngestEnd.STORED, IngestEnd.UNCHANGED):
            verdict = None if result.verdict is None else result.verdict.to_text()
            return LedgerRow(file.version, Outcome.STORED, result.fingerprint, config_hash, name=name, verdict=verdict)
        assert result.error is not None
        reason = str(result.error["message"])
        if result.end is IngestEnd.SKIPPED:
            return LedgerRow(file.version, Outcome.SKIPPED, result.fingerprint, config_hash, 0, reason, name=name)
        before = self.rows.get(file.file_id)
        attempts = 1 if before is None or before.version != file.version else before.attempts + 1
        refused = result.fingerprint if result.removes_text or result.overran else None
        retry_at = self._retry_time(result, attempts)
        verdict = None if before is None or result.removes_text else before.verdict
        return LedgerRow(
            file.version,
            Outcome.FAILED,
            refused,
            config_hash,
            attempts,
            reason,
            retry_at,
            name,
            result.overran,
            verdict,
        )

    def _retry_time(self, result: IngestResult, attempts: int) -> float | None:
        if result.overran:
            # In single passes too: a pass every few minutes would be held up each time.
            return steady_now() + OVERRUN_RETRY_SECONDS
        if not self._retry or result.removes_text:
            return None
        # Retries never end: someone may fix the cause at night, when nobody is there to request a retry.
        wait = RETRY_SECONDS * RETRY_FACTOR ** min(attempts - 1, 10) if result.retryable else MAX_RETRY_SECONDS
        return steady_now() + min(MAX_RETRY_SECONDS, wait)

    def _rename(self, file: FoundFile, row: LedgerRow) -> bool:
        """Record the new name of an otherwise unchanged file; return True to put it back, because the store failed."""
        if file.file_id in self.stored and not self._rename_stored(file):
            return self._breakers.open_circuit is not None
        self._records.put(file.file_id, row._replace(name=file.name))
        if row.outcome is Outcome.STORED:
            self._ingestion.report_renamed(file, str(row.name), Verdict.parse(row.verdict))
        self._mark_reported(file.file_id)
        if row.retry_at is not None:
            self._request_rescan()
        return False

    def _rename_stored(self, file: FoundFile) -> bool:
        try:
            self._stages.store.rename(self._collection, file.file_id, file.name, file.uri)
        except StoreError as error:
            if not self._is_to_blame(file.file_id, DependencyFailure(STORE_DEPENDENCY, error)):
                return False
            # The row keeps the old name, so the next scan asks for the renaming again.
            about = logs.about(self._ingestion.pipeline_id, file.file_id)
            logger.warning("%s is still stored under its old name: %s", file.name, error, extra=about)
            return False
        return True

    def _report_unreadable(self, entry: Unreadable) -> bool:
        key = entry.file_id
        if not entry.is_error and key in self.stored:
            try:
                self._delete_stored(key)
            except StoreError as error:
                return self._keep_deletion_due(entry, error)
            self._breakers.succeeded(STORE_DEPENDENCY, key)
        attempts = int(entry.is_error)
        row = LedgerRow(entry.version, Outcome.UNREADABLE, attempts=attempts, reason=entry.reason, name=entry.name)
        before = self.rows.get(key)
        if entry.is_error and before is not None:
            row = row._replace(verdict=before.verdict)  # its text stays
        self._records.put(key, row)
        self._ingestion.report_unreadable(entry)
        self._mark_reported(key)
        return False

    def _keep_deletion_due(self, entry: Unreadable, error: StoreError) -> bool:
        """Record nothing: the job is put back (True), or, if the entry is to blame, the next scan makes a new one."""
        if not self._is_to_blame(entry.file_id, DependencyFailure(STORE_DEPENDENCY, error)):
            return True
        about = logs.about(self._ingestion.pipeline_id, entry.file_id)
        logger.warning("%s is gone, but its text is still stored: %s", entry.name, error, extra=about)
        return False

    def _delete_stored(self, key: str) -> None:
        """Delete a file's text from the store; raises StoreError."""
        self._stages.store.delete(self._collection, key)
        self._records.set_stored({key: None})

    def _mark_reported(self, key: str) -> None:
        """Record that the status shows the outcome in the ledger."""
        self._records.mark_reported([key], (), self._ingestion.position)

    def _request_rescan(self) -> None:
        with self._lock:
            self.wants_rescan = True

    def _has_changed(self, file: FoundFile) -> bool:
        try:
            return self._source.version_now(file) != file.version
        except OSError:
            return True


def has_failed(row: LedgerRow) -> bool:
    """Return whether the status shows the file as failed: ingestion failed, or the entry should be readable."""
    return row.outcome is Outcome.FAILED or (row.outcome is Outcome.UNREADABLE and row.attempts > 0)
