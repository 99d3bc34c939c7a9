"""Writes to the journal in Redis without a publisher."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry, Generations
from rag_pipeline.journal.redis.batch import MAX_EVENTS, BatchResult, BatchWriter, EncodedItem, WriteBatch
from rag_pipeline.journal.redis.connection import RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, pairs, position_of
from rag_pipeline.journal.redis.lease import (
    IdentityChangedError,
    LeaseOwner,
    ScriptResult,
    ScriptStatus,
    claim_error,
    describe_owner,
)
from rag_pipeline.journal.redis.sequence import SequenceTracker


def claim(owner: LeaseOwner, connection: RedisConnection, identity: str, *pipeline_ids: str) -> None:
    """Take the leases; raises the JournalError of the first pipeline that can't be claimed."""
    results = owner.claim(connection, identity, dict.fromkeys(pipeline_ids, ""))
    for pipeline_id, result in results.items():
        if result.status is not ScriptStatus.OK:
            raise claim_error(connection, pipeline_id, result)


class RedisAppender(RedisJournal):
    """A journal that also appends, under leases of its own; for one thread at a time."""

    def __init__(self, url: str, *, prefix: str = DEFAULT_PREFIX, max_events: int = MAX_EVENTS) -> None:
        super().__init__(url, prefix=prefix)
        self._owner = LeaseOwner(self._keys)
        self._connection = RedisConnection(self.address)
        self._writer = BatchWriter(self._connection, self._keys, self._owner, max_events=max_events)
        self._sequence = SequenceTracker()
        self._claimed: set[str] = set()

    @property
    def generations(self) -> Generations:
        """The generations in Redis now."""
        return self._call(lambda connection: adopt(connection, self._keys))

    def count(self) -> int:
        """Return the number of events in the stream: each entry has the number of events up to itself."""
        key = self._keys.events
        commands: list[tuple[str | int, ...]] = [
            ("XRANGE", key, "-", "+", "COUNT", 1),
            ("XREVRANGE", key, "+", "-", "COUNT", 1),
        ]
        first, last = self._call(lambda connection: connection.call_all(commands))
        if not first:
            return 0
        oldest, newest = pairs(first[0][1]), pairs(last[0][1])
        return int(newest["count"]) - int(oldest["count"]) + int(oldest["numbered"])

    def append(self, events: Sequence[PipelineEvent]) -> list[Entry]:
        """Write the events as one batch."""
        self.claim({event.pipeline_id or "" for event in events} - self._claimed)
        items = [EncodedItem.of(item) for event in events for item in self._sequence.take(event)]
        written = self._write(self._writer.batch(items))
        if any(result.status is ScriptStatus.EXPIRED for result in written.results.values()):
            self.claim(set(written.results))
            written = self._write(self._writer.batch(items))
        for pipeline_id, result in written.results.items():
            self._raise_unless_written(pipeline_id, result)
        ids = (entry_id for entry_id in written.ids if entry_id)
        return [Entry(position_of(entry_id), event) for entry_id, event in zip(ids, events, strict=True)]

    def claim(self, pipeline_ids: set[str]) -> None:
        """Take the leases."""
        if not self._writer.identity:
            self._writer.adopt()
        if pipeline_ids:
            claim(self._owner, self._connection, self._writer.identity, *pipeline_ids)
            self._claimed |= pipeline_ids

    def close(self) -> None:
        """Give up the leases and disconnect."""
        super().close()
        if self._claimed:
            with suppress(JournalError):
                self._owner.release(self._connection, *self._claimed)
            self._claimed.clear()
        self._connection.close()

    def _raise_unless_written(self, pipeline_id: str, result: ScriptResult) -> None:
        if result.status is ScriptStatus.LOST:
            raise JournalError(f"pipeline {pipeline_id!r} is published by {describe_owner(result.detail)}")
        if result.status is ScriptStatus.BROKEN:
            raise claim_error(self._connection, pipeline_id, result)
        if result.status is not ScriptStatus.OK:
            raise JournalError(f"the batch of pipeline {pipeline_id!r} is {result.status}")

    def _write(self, batch: WriteBatch) -> BatchResult:
        for _ in range(2):
            try:
                return self._writer.write(batch)
            except IdentityChangedError:
                if not self._writer.adopt():
                    raise
            except RedisUnavailableError:
                pass  # written once, even over a new connection
        return self._writer.write(batch)
