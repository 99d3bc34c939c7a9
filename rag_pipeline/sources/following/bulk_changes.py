"""Moves, copies and deletes the stored text of many files at once: some hundred in one or two commits."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from rag_pipeline.common import logs
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import SourceFile, VectorStore
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.content_owners import ContentOwners, Deferred, StoredCopy
from rag_pipeline.sources.following.job_batch import JobBatch
from rag_pipeline.sources.following.jobs import ContentHash, DeleteFile, Ingest, Job
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ingest_result import STORE_DEPENDENCY, IngestEnd, IngestResult
from rag_pipeline.sources.ingestion import Ingestion
from rag_pipeline.sources.ledger import LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile

logger = logging.getLogger(__name__)

LEDGER_DEPENDENCY = "ledger"
MAX_DELETED = 500
MAX_REUSED = 250
GATHER_SECONDS = 1.0
"""Seconds that a file that reuses stored text waits for others; the status hardly shows it meanwhile."""


class TextReuse(NamedTuple):
    """A file that reuses the text of a stored one.

    ``new`` is the file as the store gets it, ``stored`` the other one as the store has it.
    """

    file: FoundFile
    owner: StoredCopy
    new: SourceFile
    stored: SourceFile

    @property
    def file_id(self) -> str:
        """The id of the new file."""
        return self.file.file_id


class BulkChanges:
    """Moves, copies and deletions of many files; each writes the store, then the ledger, then the status. Thread-safe.

    If the store fails, its circuit breaker opens and all files of the batch are put back. A batch that fails again and
    again, while others pass, is done file by file from then on.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        store: VectorStore,
        collection: str,
        config_hash: str,
        records: Records,
        breakers: CircuitBreakers,
        owners: ContentOwners,
    ) -> None:
        self._ingestion = ingestion
        self._store = store
        self._collection = collection
        self._config_hash = config_hash
        self._records = records
        self._breakers = breakers
        self._owners = owners
        self._alone: set[str] = set()  # ids of files to do one by one; each operation is atomic
        # Ids of stored files that a file failed to reuse, by its id. The file is ingested if there is no other.
        self._failed_owners: dict[str, set[str]] = {}

    # -- deletions -------------------------------------------------------------------------------------------------

    def delete(self, batch: JobBatch, other_names: Mapping[str, str]) -> None:
        """Delete the files of the batch, and pending ones that are to be deleted, from the store and the ledger.

        ``other_names`` has names of files without a row. Raises StateError.
        """
        if next(iter(batch.jobs)) not in self._alone:
            while len(batch.jobs) < MAX_DELETED and batch.take_next(self._is_deletion) is not None:
                pass
        keys = list(batch.jobs)
        names = {key: self._records.name_of(key, other_names) for key in keys}
        stored = [key for key in keys if key in self._records.stored]
        if stored and (error := self._delete_stored(stored)) is not None:
            self._put_back_deletions(batch, names, error)
            return
        self._records.remove(names)
        for key, name in names.items():
            self._ingestion.report_deleted(name, key)
        self._records.mark_reported((), keys, self._ingestion.position)
        self._alone.difference_update(keys)
        batch.finish(keys)

    def _is_deletion(self, job: Job) -> bool:
        return isinstance(job, DeleteFile) and job.file_id not in self._alone

    def _delete_stored(self, keys: list[str]) -> StoreError | None:
        try:
            self._store.delete_many(self._collection, keys)
        except StoreError as error:
            return error
        self._records.set_stored(dict.fromkeys(keys))
        self._breakers.succeeded(STORE_DEPENDENCY, keys[0])
        return None

    def _put_back_deletions(self, batch: JobBatch, names: Mapping[str, str], error: StoreError) -> None:
        is_to_blame = self._trip(names, error)
        if is_to_blame and len(names) == 1:
            # The ledger is unchanged, so the next scan asks for the deletion again.
            ((key, name),) = names.items()
            about = logs.about(self._ingestion.pipeline_id, key)
            logger.warning("%s is gone, but its text is still stored: %s", name, error, extra=about)
        batch.finish(names, put_back=not is_to_blame or len(names) > 1)

    # -- files whose text is stored already ------------------------------------------------------------------------

    def find_reuse(self, file: FoundFile, content: ContentHash) -> TextReuse | Deferred | None:
        """Return the stored text to reuse, None if the file must be ingested; raises StoreError."""
        failed = self._failed_owners.setdefault(file.file_id, set())
        while isinstance(owner := self._owners.find(file, content, failed), StoredCopy):
            try:
                stored = self._store.file(self._collection, owner.file_id)
            except BaseException:
                self._owners.release(owner)
                raise
            if stored is not None and stored.content_hash == content.fingerprint:
                new = SourceFile(
                    file.file_id, file.name, file.uri, stored.content_hash, content.size, stored.mime_type,
                    file.modified_at,
                )  # fmt: skip
                return TextReuse(file, owner, new, stored)
            # It is being replaced or deleted; another file may have the content too.
            self._owners.release(owner)
            failed.add(owner.file_id)
        if owner is None:
            del self._failed_owners[file.file_id]
        return owner

    def apply(self, batch: JobBatch, reuses: list[TextReuse]) -> None:
        """Store the files under their new ids and report them; raises StateError."""
        keys = [reuse.file_id for reuse in reuses]
        try:
            try:
                chunk_counts = self._store_all(reuses)
            except StoreError as error:
                if self._trip(keys, error) and len(keys) == 1:
                    self._exclude_owners(reuses)
                batch.finish(keys, put_back=True)
                return
            self._record([reuse for reuse in reuses if reuse.file_id in chunk_counts], chunk_counts)
            self._alone.difference_update(chunk_counts)
            for key in chunk_counts:
                self._failed_owners.pop(key, None)
            batch.finish(chunk_counts)
            # The other file is not stored any more, or has another content.
            self._exclude_owners(reuse for reuse in reuses if reuse.file_id not in chunk_counts)
            batch.finish(keys, put_back=True)
        finally:
            self.release(reuses)

    def release(self, reuses: Iterable[TextReuse]) -> None:
        """Release the stored files of these reuses."""
        for reuse in reuses:
            self._owners.release(reuse.owner)

    def may_join(self, job: Job) -> bool:
        """Return whether the job may be done together with others."""
        return isinstance(job, Ingest) and job.file.file_id not in self._alone

    def _store_all(self, reuses: Iterable[TextReuse]) -> dict[str, int]:
        """Copy and move the stored texts; return the number of chunks of each stored file, by new id."""
        copies = {reuse.file_id: reuse for reuse in reuses if not reuse.owner.moves}
        moves = {reuse.owner.file_id: reuse.new for reuse in reuses if reuse.owner.moves}
        chunk_counts: dict[str, int] = {}
        # Files of this batch that swap texts: the batch holds both, so nobody else stores them meanwhile.
        swapped = {key for key, reuse in copies.items() if reuse.owner.file_id in copies}
        for key in swapped:
            if not self._is_still_stored(copies[key]):
                del copies[key]
        if copies:
            pairs = [(reuse.owner.file_id, reuse.new) for reuse in copies.values()]
            chunk_counts = self._store.copy_many(self._collection, pairs)
            for key, reuse in copies.items():
                # If the owner was stored anew in between, the copy could have its other content.
                if key in chunk_counts and key not in swapped and not self._is_still_stored(reuse):
                    del chunk_counts[key]
        if moves:
            moved = self._store.move_many(self._collection, moves)
            chunk_counts |= {moves[old_id].file_id: count for old_id, count in moved.items()}
        return chunk_counts

    def _is_still_stored(self, reuse: TextReuse) -> bool:
        """Return whether the store still has the owner's text; its name may have changed."""
        now = self._store.file(self._collection, reuse.owner.file_id)
        return now is not None and replace(now, name=reuse.stored.name, uri=reuse.stored.uri) == reuse.stored

    def _record(self, done: list[TextReuse], chunk_counts: Mapping[str, int]) -> None:
        records = self._records
        moved = {reuse.owner.file_id: records.name_of(reuse.owner.file_id, {}) for reuse in done if reuse.owner.moves}
        rows = {reuse.file_id: self._row(reuse) for reuse in done}
        records.record_reuse(rows, moved)
        for dependency in (STORE_DEPENDENCY, LEDGER_DEPENDENCY):
            self._breakers.succeeded(dependency, next(iter(rows), ""))
        for reuse in done:
            self._report(reuse, chunk_counts[reuse.file_id], moved)
        records.mark_reported(rows, moved, self._ingestion.position)

    def _row(self, reuse: TextReuse) -> LedgerRow:
        file, content_hash = reuse.file, reuse.new.content_hash
        return LedgerRow(file.version, Outcome.STORED, content_hash, self._config_hash, name=file.name)

    def _report(self, reuse: TextReuse, chunks: int, moved: Mapping[str, str]) -> None:
        mime_type, name = reuse.stored.mime_type, reuse.stored.name
        result = IngestResult(IngestEnd.STORED, reuse.new.content_hash, chunks, mime_type, same_content_as=name)
        self._ingestion.report(reuse.file, result, shown_as_done=False)
        if reuse.owner.moves:
            self._ingestion.report_deleted(moved[reuse.owner.file_id], reuse.owner.file_id)

    def _exclude_owners(self, reuses: Iterable[TextReuse]) -> None:
        for reuse in reuses:
            self._failed_owners.setdefault(reuse.file_id, set()).add(reuse.owner.file_id)

    def _trip(self, keys: Iterable[str], error: StoreError) -> bool:
        """Record that the store failed; return True if the batch is to blame: its files are then done one by one."""
        keys = list(keys)
        if not self._breakers.trip(STORE_DEPENDENCY, error, keys[0]):
            return False
        self._alone.update(keys)
        return True


class ReuseBatch:
    """The files of one worker that wait to reuse stored text together; a context manager that releases the rest."""

    def __init__(self, changes: BulkChanges, batch: JobBatch) -> None:
        self._changes = changes
        self._batch = batch
        self._reuses: list[TextReuse] = []
        self._ends_at = time.monotonic() + GATHER_SECONDS

    def add(self, file: FoundFile, content: ContentHash) -> IngestResult | None:
        """Add the file if it can reuse stored text; return its result, or None if it can't. Raises StoreError."""
        match self._changes.find_reuse(file, content):
            case None:
                return None
            case Deferred():
                return IngestResult(IngestEnd.DEFERRED)
            case reuse:
                self._reuses.append(reuse)
                return IngestResult(IngestEnd.REUSED)

    def take_next(self) -> tuple[str, Job] | None:
        """Take another file, if some are waiting and there is room and time for more."""
        if not self._reuses or len(self._reuses) >= MAX_REUSED or time.monotonic() >= self._ends_at:
            return None
        if not self._changes.may_join(Ingest(self._reuses[0].file)):
            return None
        return self._batch.take_next(self._changes.may_join)

    def apply(self) -> None:
        """Store the files that wait; raises StateError."""
        reuses, self._reuses = self._reuses, []
        if reuses:
            self._changes.apply(self._batch, reuses)

    def __enter__(self) -> ReuseBatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._changes.release(self._reuses)
