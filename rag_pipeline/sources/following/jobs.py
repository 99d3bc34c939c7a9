"""What a worker does with one entry of the plan, and what is written down of it: the store first, then the ledger."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from rag_pipeline.common import logs
from rag_pipeline.errors import StateError, StoreError
from rag_pipeline.sources.following.batches import LEDGER_DEPENDENCY, Batches, Gathering
from rag_pipeline.sources.following.breaker import Breakers
from rag_pipeline.sources.following.deaths import Deaths, ProcessDiedError
from rag_pipeline.sources.following.hand import Forget, Give, Hand, Hashed, Job, Note, Read
from rag_pipeline.sources.following.order import Order
from rag_pipeline.sources.following.plan import is_renamed, keeps_type
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.source import FoundFile, Oddity, Source, SourceUnavailableError
from rag_pipeline.sources.following.steady import steady_now
from rag_pipeline.sources.following.twins import Twins
from rag_pipeline.sources.ingestion import (
    EMBEDDING_DEPENDENCY,
    INTERRUPTED,
    MACHINE_DEPENDENCY,
    STORE_DEPENDENCY,
    STORING,
    Blocked,
    End,
    Hooks,
    Ingestion,
    Parts,
    Result,
    failure,
)
from rag_pipeline.sources.ledger import OVERRUN_RETRY_SECONDS, Outcome, Row
from rag_pipeline.sources.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
RETRY_FACTOR = 4.0
MAX_RETRY_SECONDS = 3600.0


class Jobs:
    """Does the jobs of a plan. The lock of ``records`` is that of ``crew``, and protects ``order`` too.

    The files of ``records.unreported`` come to an end once more, and that is shown, though nothing may be left to do.
    ``again`` asks for another look, ``trouble`` is why nothing can be fetched; the run loop takes them back.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        source: Source,
        parts: Parts,
        records: Records,
        scope: str,
        breakers: Breakers,
        deaths: Deaths,
        crew: WorkerPool[Job],
        *,
        retry: bool,
    ) -> None:
        self.known, self.stored, self.unreported = records.known, records.stored, records.unreported
        self.order = Order()
        self.again = False
        self.trouble: SourceUnavailableError | None = None
        self._records = records
        self._lock = records.lock
        self._breakers = breakers
        self._deaths = deaths
        self._ingestion = ingestion
        self._source = source
        self._parts = parts
        self._scope = scope
        self._crew = crew
        self._retry = retry
        self._twins = Twins(records, crew)
        self._batches = Batches(ingestion, parts.store, scope, parts.recipe, records, breakers, self._twins)

    def do(self, key: str, job: Job) -> bool:
        """Do one job, and others with it that go well together; return whether to put this one back.

        Raises StateError if the ledger can't be used at all.
        """
        hand = Hand(self._crew, self._breakers, key, job)
        try:
            self._do(hand, key, job)
        except StateError as error:
            if not error.retryable:
                raise
            self._breakers.trip(LEDGER_DEPENDENCY, error, key)  # no file is to blame for a full disk
            hand.end(again=True)
        finally:
            hand.end()
        return hand.again

    def _do(self, hand: Hand, key: str, job: Job) -> None:
        match job:
            case Read():
                self._read_some(hand, job)
            case Give(file):
                message = f"{file.name} is still being written to"
                error = {"type": "StillChanging", "message": message, "stage": "waiting", "retryable": True}
                hand.done([key], again=self._record(file, Result(End.FAILED, error=error)))
            case Note(oddity):
                hand.done([key], again=self._note(oddity))
            case Forget():
                self._batches.forget(hand, self.unended())

    def missed(self, file_ids: Collection[str]) -> None:
        """Note which known files the last look has missed; the lock is held."""
        self._twins.missing = frozenset(file_ids)

    def unended(self) -> dict[str, str]:
        """Return the names, by id, of the files whose end has to be shown: in flight, or not reported."""
        return {**self.unreported, **self._ingestion.in_flight}

    def is_suspect(self, file: FoundFile) -> bool:
        """Return whether the file is worked on last, and beside no other such; it killed the process, or overran.

        One that overran stays a suspect when it changes: whoever wrote it can write another like it.
        """
        row = self.known.get(file.file_id)
        return self._deaths.is_suspect(file) or (row is not None and row.overran)

    def is_in_flight(self, file_id: str) -> bool:
        """Return whether a file is shown in flight; that changes during its job alone."""
        return self._ingestion.is_in_flight(file_id)

    def take_trouble(self) -> SourceUnavailableError | None:
        """Return why nothing could be fetched since the last call, None if there was no such thing."""
        with self._lock:
            trouble, self.trouble = self.trouble, None
        return trouble

    def take_again(self) -> bool:
        """Return whether another look was asked for since the last call."""
        with self._lock:
            again, self.again = self.again, False
        return again

    def try_again(self, file_id: str) -> None:
        """Make a failed file due, with all its tries before it; the lock is held."""
        row = self.known[file_id]
        self._deaths.forget(file_id)
        if row.outcome is Outcome.ODD:
            self._records.put(file_id, row._replace(version=None))
        else:
            self._records.put(file_id, row._replace(attempts=0, retry_at=0.0))

    def _read_some(self, hand: Hand, job: Read) -> None:
        """Read a file. If its text is stored already, read the next ones too, and store them together."""
        with Gathering(self._batches, hand) as gathering:
            taken: tuple[str, Job] | None = (job.file.file_id, job)
            while taken is not None:
                key, job = taken[0], taken[1] if isinstance(taken[1], Read) else job
                again = self._read(job, gathering)
                if again is not None:
                    hand.done([key], again=again)
                taken = gathering.take()
            gathering.store()

    def _read(self, job: Read, gathering: Gathering) -> bool | None:
        """Read a file; return whether to put it back, None if it is gathered."""
        file = job.file
        key = file.file_id
        with self._lock:
            self.order.begun(key)
            row, stored = self.known.get(key), self.stored.get(key)
        if row is not None and is_renamed(file, row):
            if not keeps_type(file, row):
                stored = None  # by another name it may be read in another way
            elif row.version == file.version and key not in self.unreported:
                return self._rename(file, row)
        try:
            self._deaths.check(file)
        except ProcessDiedError as error:
            return self._record(file, failure(error, file.name, INTERRUPTED), is_last=True)
        refused = row if row is not None and self._is_refused(file, row) else None
        try:
            result = self._work(job, refused, stored, gathering)
            if result.end is End.UNCHANGED and refused is not None:
                # There is nothing to do, and nothing to show.
                self._records.put(key, refused._replace(version=file.version))
                self._reported(key)
                return False
            match result.end:
                case End.SHARED:
                    return None
                case End.PARKED | End.CHANGED | End.STOPPED | End.CANCELLED | End.UNAVAILABLE | End.BLOCKED:
                    self._put_back(file, result)
                    return result.end in (End.CANCELLED, End.BLOCKED)
            again = self._record(file, result)
        finally:
            self._twins.end(key)
        if not again and self._has_changed(file):
            self._ask_again()
        return again

    def _work(self, job: Read, refused: Row | None, stored: str | None, gathering: Gathering) -> Result:
        """Take a file through the stages, unless the store has its text."""
        file = job.file
        hooks = Hooks(
            lambda fingerprint, size: gathering.share(file, Hashed(fingerprint, size)),
            gathering.store,
            lambda: self._deaths.counted(file),
            # Before the ledger is asked for anything, which may fail.
            lambda fingerprint: self._records.set_stored({file.file_id: fingerprint}),
        )
        if job.hashed is not None and not self._has_changed(file):
            try:
                if (shared := gathering.share(file, job.hashed)) is not None:
                    return shared
            except StoreError:
                pass  # it is met again below, and told there
        result = self._ingestion.work(file, stored if refused is None else refused.fingerprint, hooks)
        if result.end is End.UNCHANGED and refused is not None and self.is_in_flight(file.file_id):
            result = self._ingestion.work(file, None, hooks)  # it is shown as being fetched, and has to come to an end
        if result.blocked is not None and self._is_to_blame(file.file_id, result.blocked):
            result = failure(result.blocked.error, file.name, result.blocked.dependency)
        return result

    def is_elsewhere(self, key: str, found: Mapping[str, FoundFile]) -> bool:
        """Return whether the text of a file is also stored under the id of another that was found; the lock is held."""
        row = self.known.get(key)
        # After a move that the ledger could not take, the row is all that is left of the old file.
        of_row = row.fingerprint if row is not None and row.outcome is Outcome.STORED else None
        fingerprint = self.stored.get(key, of_row)
        return fingerprint is not None and any(
            twin != key and twin in found for twin in self._records.with_content(fingerprint)
        )

    def _is_refused(self, file: FoundFile, row: Row) -> bool:
        """Return whether the content was refused for good, or overran and is not due, and is shown so.

        The same would be refused again.
        """
        key = file.file_id
        waits = row.overran and row.retry_at is not None and row.retry_at > steady_now()
        lasting = row.outcome is Outcome.SKIPPED or (row.outcome is Outcome.FAILED and row.retry_at is None)
        if row.fingerprint is None or is_renamed(file, row) or not (waits or (lasting and key not in self.stored)):
            return False
        return key not in self.unreported and not self.is_in_flight(key)

    def _put_back(self, file: FoundFile, result: Result) -> None:
        self._ingestion.report(file, result, shown_as_done=False)
        with self._lock:
            if result.end in (End.CANCELLED, End.BLOCKED):
                self.order.postpone(file.file_id)
            elif result.end is End.CHANGED:
                self.again = True
            elif result.end is End.UNAVAILABLE:
                self.trouble = result.trouble
                self.order.postpone(file.file_id)  # in case it is this file's alone after all: the others go first

    def _is_to_blame(self, key: str, blocked: Blocked) -> bool:
        """Open the breaker of what failed; return True if the file is the reason, since others pass."""
        return self._breakers.trip(blocked.dependency, blocked.error, key)

    def _record(self, file: FoundFile, result: Result, *, is_last: bool = False) -> bool:
        """Write down how the work on a file ended, and show it; return True to put it back: the store is down.

        ``is_last`` says that it is not tried again before it changes, or somebody asks for it.
        """
        key = file.file_id
        # The text of what the file was before is wrong now. Any other failure says nothing about it.
        if result.of_content and key in self.stored:
            try:
                self._unstore(key)
            except StoreError as error:
                if not self._is_to_blame(key, Blocked(STORE_DEPENDENCY, error)):
                    self._put_back(file, Result(End.BLOCKED))
                    return True
                result = failure(error, file.name, STORING)
        row = self._row(file, result)
        if is_last:
            row = row._replace(retry_at=None)
        else:
            self._deaths.forget(key)
        before = self.known.get(key)
        if result.end is End.UNCHANGED and before is not None and is_renamed(file, before):
            row = row if self._rename_stored(file) else row._replace(name=before.name)
        self._records.put(key, row)
        if result.end is End.STORED:
            for dependency in (EMBEDDING_DEPENDENCY, STORE_DEPENDENCY, MACHINE_DEPENDENCY):
                self._breakers.succeeded(dependency, key)
        self._breakers.succeeded(LEDGER_DEPENDENCY, key)
        done = before is not None and before.outcome is Outcome.STORED and key not in self.unreported
        self._ingestion.report(file, result, shown_as_done=done)
        self._reported(key)
        return False

    def _rename(self, file: FoundFile, row: Row) -> bool:
        """Take on the new name of a file that is otherwise the same; return True to put it back: the store is down."""
        if file.file_id in self.stored and not self._rename_stored(file):
            return self._breakers.trouble is not None
        self._records.put(file.file_id, row._replace(name=file.name))
        if row.outcome is Outcome.STORED:
            self._ingestion.renamed(file, str(row.name))
        self._reported(file.file_id)
        if row.retry_at is not None:
            self._ask_again()
        return False

    def _rename_stored(self, file: FoundFile) -> bool:
        try:
            self._parts.store.rename(self._scope, file.file_id, file.name, file.uri)
        except StoreError as error:
            if not self._is_to_blame(file.file_id, Blocked(STORE_DEPENDENCY, error)):
                return False
            # The row keeps the old name, so the next look asks for it again.
            about = logs.about(self._ingestion.pipeline_id, file.file_id)
            logger.warning("%s is still stored under its old name: %s", file.name, error, extra=about)
            return False
        return True

    def _row(self, file: FoundFile, result: Result) -> Row:
        recipe, name = self._parts.recipe, file.name
        if result.end in (End.STORED, End.UNCHANGED):
            return Row(file.version, Outcome.STORED, result.fingerprint, recipe, name=name)
        assert result.error is not None
        reason = str(result.error["message"])
        if result.end is End.SKIPPED:
            return Row(file.version, Outcome.SKIPPED, result.fingerprint, recipe, 0, reason, name=name)
        before = self.known.get(file.file_id)
        attempts = 1 if before is None or before.version != file.version else before.attempts + 1
        retry_at = None
        if self._retry and not result.of_content:
            # Without end: what is wrong may be mended at night, and nobody is there to ask for another try.
            wait = RETRY_SECONDS * RETRY_FACTOR ** min(attempts - 1, 10) if result.retryable else MAX_RETRY_SECONDS
            retry_at = steady_now() + min(MAX_RETRY_SECONDS, wait)
        if result.overran:
            # In a single pass too: where one is run every few minutes, each would be held up.
            retry_at = steady_now() + OVERRUN_RETRY_SECONDS
        refused = result.fingerprint if result.of_content or result.overran else None
        return Row(file.version, Outcome.FAILED, refused, recipe, attempts, reason, retry_at, name, result.overran)

    def _note(self, odd: Oddity) -> bool:
        if not odd.is_error and (left := self._remove(odd.file_id, odd.name)) is not None:
            return left
        attempts = int(odd.is_error)
        self._records.put(
            odd.file_id, Row(odd.version, Outcome.ODD, attempts=attempts, reason=odd.reason, name=odd.name)
        )
        self._ingestion.noted(odd)
        self._reported(odd.file_id)
        return False

    def _remove(self, key: str, name: str) -> bool | None:
        """Take what is no file any more out of the store; return None if nothing of it is left.

        Where there is, nothing is written down, and the job is put back (True), or the next look asks for it (False).
        """
        if key not in self.stored:
            return None
        try:
            self._unstore(key)
        except StoreError as error:
            if not self._is_to_blame(key, Blocked(STORE_DEPENDENCY, error)):
                return True
            about = logs.about(self._ingestion.pipeline_id, key)
            logger.warning("%s is gone, but its text is still stored: %s", name, error, extra=about)
            return False
        self._breakers.succeeded(STORE_DEPENDENCY, key)
        return None

    def _unstore(self, key: str) -> None:
        """Take a text out of the store; raises StoreError."""
        self._parts.store.delete(self._scope, key)
        self._records.set_stored({key: None})

    def _reported(self, key: str) -> None:
        """Note that the status shows the outcome that was put into the ledger."""
        self._records.reported([key], (), self._ingestion.position)

    def _ask_again(self) -> None:
        with self._lock:
            self.again = True

    def _has_changed(self, file: FoundFile) -> bool:
        try:
            return self._source.version_now(file) != file.version
        except OSError:
            return True


def has_failed(row: Row) -> bool:
    """Return whether the file is shown as failed: it was worked on in vain, or is one that can't be read at all."""
    return row.outcome is Outcome.FAILED or (row.outcome is Outcome.ODD and row.attempts > 0)
