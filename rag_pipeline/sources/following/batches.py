"""What is done of many files at once: some hundred that have moved, are copies or are gone, in a commit or two."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from rag_pipeline.common import logs
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import SourceFile, VectorStore
from rag_pipeline.sources.following.breaker import Breakers
from rag_pipeline.sources.following.hand import Forget, Hand, Hashed, Job, Read
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.source import FoundFile
from rag_pipeline.sources.following.twins import Parked, Twin, Twins
from rag_pipeline.sources.ingestion import STORE_DEPENDENCY, End, Ingestion, Result
from rag_pipeline.sources.ledger import Outcome, Row

logger = logging.getLogger(__name__)

LEDGER_DEPENDENCY = "ledger"
MOST_FORGOTTEN = 500
MOST_SHARED = 250
GATHER_SECONDS = 1.0
"""A file whose text is taken over waits so long for others, and is hardly in the status meanwhile."""


class Shared(NamedTuple):
    """A file that takes over the text of a stored one: ``new`` as the store gets it, ``before`` as it has the other."""

    file: FoundFile
    twin: Twin
    new: SourceFile
    before: SourceFile


class Batches:
    """Moves, copies and deletions of many files, in this order: store, ledger, status; safe under threads.

    A store that fails is trouble of that dependency, and all files of the batch are put back. A batch that fails again
    and again, while others pass, is done file by file from then on.
    """

    def __init__(
        self,
        ingestion: Ingestion,
        store: VectorStore,
        scope: str,
        recipe: str,
        records: Records,
        breakers: Breakers,
        twins: Twins,
    ) -> None:
        self._ingestion = ingestion
        self._store = store
        self._scope = scope
        self._recipe = recipe
        self._records = records
        self._breakers = breakers
        self._twins = twins
        self._alone: set[str] = set()  # ids of files to do one by one; each operation is atomic
        # Ids of stored files that each file could not take its text from; it is read if there is no other.
        self._in_vain: dict[str, set[str]] = {}

    # -- files that are gone ---------------------------------------------------------------------------------------

    def forget(self, hand: Hand, unended: Mapping[str, str]) -> None:
        """Take the files in hand, and those that are next to be forgotten, out of the store and the ledger.

        ``unended`` has names of files that the ledger may not know. Raises StateError.
        """
        if self._may_join(next(iter(hand.jobs))):
            while len(hand.jobs) < MOST_FORGOTTEN and hand.take(self._is_forgotten_too) is not None:
                pass
        keys = list(hand.jobs)
        names = {key: self._records.name_of(key, unended) for key in keys}
        stored = [key for key in keys if key in self._records.stored]
        if stored and (error := self._delete(stored)) is not None:
            self._forget_later(hand, names, error)
            return
        self._records.change({}, names)
        for key, name in names.items():
            self._ingestion.deleted(name, key)
        self._records.reported((), keys, self._ingestion.position)
        self._alone.difference_update(keys)
        hand.done(keys)

    def _is_forgotten_too(self, job: Job) -> bool:
        return isinstance(job, Forget) and self._may_join(job.file_id)

    def _delete(self, keys: list[str]) -> StoreError | None:
        try:
            self._store.delete_many(self._scope, keys)
        except StoreError as error:
            return error
        self._records.set_stored(dict.fromkeys(keys))
        self._breakers.succeeded(STORE_DEPENDENCY, keys[0])
        return None

    def _forget_later(self, hand: Hand, names: Mapping[str, str], error: StoreError) -> None:
        is_to_blame = self._trip(names, error)
        if is_to_blame and len(names) == 1:
            # Nothing is written down, so the next look asks for it again.
            ((key, name),) = names.items()
            about = logs.about(self._ingestion.pipeline_id, key)
            logger.warning("%s is gone, but its text is still stored: %s", name, error, extra=about)
        hand.done(names, again=not is_to_blame or len(names) > 1)

    # -- files whose text is stored already ------------------------------------------------------------------------

    def share(self, file: FoundFile, hashed: Hashed) -> Shared | Parked | None:
        """Return where the file's text is taken from, None if it has to be read; raises StoreError."""
        in_vain = self._in_vain.setdefault(file.file_id, set())
        while isinstance(twin := self._twins.find(file, hashed, in_vain), Twin):
            try:
                before = self._store.file(self._scope, twin.file_id)
            except BaseException:
                self._twins.leave(twin)
                raise
            if before is not None and before.content_hash == hashed.fingerprint:
                new = SourceFile(
                    file.file_id, file.name, file.uri, before.content_hash, hashed.size, before.mime_type,
                    file.modified_at,
                )  # fmt: skip
                return Shared(file, twin, new, before)
            # It is being replaced or removed. Another one may have the content, too.
            self._twins.leave(twin)
            in_vain.add(twin.file_id)
        if twin is None:
            del self._in_vain[file.file_id]
        return twin

    def take_over(self, hand: Hand, shared: list[Shared]) -> None:
        """Store the files under their new ids, and show what became of them; raises StateError."""
        by_id = {one.file.file_id: one for one in shared}
        try:
            try:
                chunks = self._put(shared)
            except StoreError as error:
                if self._trip(by_id, error) and len(by_id) == 1:
                    self._leave_out(shared)
                hand.done(by_id, again=True)
                return
            done = [one for one in shared if one.file.file_id in chunks]
            self._record(done, chunks)
            self._alone.difference_update(chunks)
            for key in chunks:
                self._in_vain.pop(key, None)
            hand.done(chunks)
            # The other file is not stored any more, or has another content.
            self._leave_out(one for one in shared if one.file.file_id not in chunks)
            hand.done(by_id, again=True)
        finally:
            self.drop(shared)

    def drop(self, shared: Iterable[Shared]) -> None:
        """Let go of the stored files that nothing is taken from after all."""
        for one in shared:
            self._twins.leave(one.twin)

    def may_join(self, job: Job) -> bool:
        """Return whether a file may be done together with others."""
        return isinstance(job, Read) and self._may_join(job.file.file_id)

    def _put(self, shared: Iterable[Shared]) -> dict[str, int]:
        """Store the files; return the chunks of each that was, by new id."""
        copies = {one.file.file_id: one for one in shared if not one.twin.moves}
        moves = {one.twin.file_id: one.new for one in shared if one.twin.moves}
        chunks: dict[str, int] = {}
        # Files of the batch that swap their texts: these are in hand, so nobody else stores them meanwhile.
        own = {key for key, one in copies.items() if one.twin.file_id in copies}
        for key in own:
            if not self._is_as_before(copies[key]):
                del copies[key]
        if copies:
            chunks = self._store.copy_many(self._scope, [(one.twin.file_id, one.new) for one in copies.values()])
            for key, one in copies.items():
                # Had it been stored anew in between, the copy could be of the other content.
                if key in chunks and key not in own and not self._is_as_before(one):
                    del chunks[key]
        if moves:
            moved = self._store.move_many(self._scope, moves)
            chunks |= {moves[old_id].file_id: count for old_id, count in moved.items()}
        return chunks

    def _is_as_before(self, one: Shared) -> bool:
        """Return whether the store still has the other file's text; its name may be another one."""
        now = self._store.file(self._scope, one.twin.file_id)
        return now is not None and replace(now, name=one.before.name, uri=one.before.uri) == one.before

    def _record(self, done: list[Shared], chunks: Mapping[str, int]) -> None:
        records = self._records
        gone = {one.twin.file_id: records.name_of(one.twin.file_id, {}) for one in done if one.twin.moves}
        stored = {one.file.file_id: self._row(one) for one in done}
        records.took_over(stored, gone)
        for dependency in (STORE_DEPENDENCY, LEDGER_DEPENDENCY):
            self._breakers.succeeded(dependency, next(iter(stored), ""))
        for one in done:
            self._show(one, chunks[one.file.file_id], gone)
        records.reported(stored, gone, self._ingestion.position)

    def _row(self, one: Shared) -> Row:
        return Row(one.file.version, Outcome.STORED, one.new.content_hash, self._recipe, name=one.file.name)

    def _show(self, one: Shared, chunks: int, gone: Mapping[str, str]) -> None:
        mime_type, same_as = one.before.mime_type, one.before.name
        result = Result(End.STORED, one.new.content_hash, chunks, mime_type, same_as=same_as)
        self._ingestion.report(one.file, result, shown_as_done=False)
        if one.twin.moves:
            self._ingestion.deleted(gone[one.twin.file_id], one.twin.file_id)

    def _leave_out(self, shared: Iterable[Shared]) -> None:
        for one in shared:
            self._in_vain.setdefault(one.file.file_id, set()).add(one.twin.file_id)

    # ----------------------------------------------------------------------------------------------------------------

    def _may_join(self, file_id: str) -> bool:
        return file_id not in self._alone

    def _trip(self, keys: Iterable[str], error: StoreError) -> bool:
        """Note that the store failed; return whether the batch is to blame: then its files are done alone."""
        keys = list(keys)
        if not self._breakers.trip(STORE_DEPENDENCY, error, keys[0]):
            return False
        self._alone.update(keys)
        return True


class Gathering:
    """The files of one worker that wait to be stored together; a context manager, which lets go of what is left."""

    def __init__(self, batches: Batches, hand: Hand) -> None:
        self._batches = batches
        self._hand = hand
        self._shared: list[Shared] = []
        self._ends_at = time.monotonic() + GATHER_SECONDS

    def share(self, file: FoundFile, hashed: Hashed) -> Result | None:
        """Return how the work on the file ends if it takes over the text of a stored one; raises StoreError."""
        match self._batches.share(file, hashed):
            case None:
                return None
            case Parked():
                return Result(End.PARKED)
            case shared:
                self._shared.append(shared)
                return Result(End.SHARED)

    def take(self) -> tuple[str, Job] | None:
        """Take another file to read, if some are gathered and there is room and time for more."""
        if not self._shared or len(self._shared) >= MOST_SHARED or time.monotonic() >= self._ends_at:
            return None
        if not self._batches.may_join(Read(self._shared[0].file)):
            return None
        return self._hand.take(self._batches.may_join)

    def store(self) -> None:
        """Store what is gathered; raises StateError."""
        shared, self._shared = self._shared, []
        if shared:
            self._batches.take_over(self._hand, shared)

    def __enter__(self) -> Gathering:
        return self

    def __exit__(self, *_: object) -> None:
        self._batches.drop(self._shared)
