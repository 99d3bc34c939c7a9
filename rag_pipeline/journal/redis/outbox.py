"""Decides what is written to Redis next, and what follows from each result; belongs to the publisher's thread.

A batch is kept until the server has answered, and sent again unchanged: the server knows it by its number. Pipelines
that the server refused, or has lost data of, are handled here. The events of a pipeline that this process does not own
yet, or that can't be written, wait; those of other pipelines are written.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from rag_pipeline.common import logs
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.batch import MAX_BATCH, MAX_BATCH_BYTES, BatchWriter, EncodedItem, Item, WriteBatch
from rag_pipeline.journal.redis.claims import ClaimRequest, Claims
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.lease import (
    CLAIM_PATIENCE_SECONDS,
    LeaseOwner,
    ScriptResult,
    ScriptStatus,
    claim_error,
    describe_owner,
)
from rag_pipeline.journal.redis.queue import EventQueue, slots_of
from rag_pipeline.journal.redis.retry import REFUSED_SECONDS
from rag_pipeline.journal.redis.sequence import SequenceTracker

logger = logging.getLogger("rag_pipeline.journal")


class Outbox:
    """Makes batches of queued events, each event once and in order, and handles the results.

    claimed: the pipelines that this process owns.
    refused, broken: pipelines that another process owns, or whose keys can't be used, each with the reason.
    """

    def __init__(
        self,
        queue: EventQueue,
        writer: BatchWriter,
        connection: RedisConnection,
        owner: LeaseOwner,
        status_of: Callable[[str], PipelineEvent | None],
        *,
        patience_seconds: float = CLAIM_PATIENCE_SECONDS,
    ) -> None:
        self.claimed: dict[str, None] = {}
        self.refused: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self._queue = queue
        self._writer = writer
        self._connection = connection
        self._owner = owner
        self._status_of = status_of
        self._claims = Claims(owner, connection, patience_seconds)
        self._requests: list[ClaimRequest] = []
        self._sequence = SequenceTracker()
        self._batch: WriteBatch | None = None
        self._resend: list[EncodedItem] = []  # from a batch that was not written, for another batch
        self._parked: dict[str, list[PipelineEvent]] = {}  # taken from the queue, of pipelines that are not claimed yet
        self._unparked: deque[PipelineEvent] = deque()  # was parked, comes before the queue
        self._gaps: set[str] = set()
        self._released: set[str] = set()
        self._due_states: dict[
            str, tuple[PipelineEvent, bool]
        ] = {}  # a status for after everything queued before; as a gap?

    @property
    def waiting(self) -> bool:
        """Whether anything can be written or claimed right now."""
        if self._batch or self._unparked or self._queue or self._queue.has_gaps:
            return True
        ready = self.claimed.keys()
        if any(item.pipeline_id in ready for item in self._resend):
            return True
        return not ready.isdisjoint(self._gaps | {*self._due_states}) or self._claims.due <= time.monotonic()

    @property
    def holding(self) -> bool:
        """Whether anything waits for a pipeline that this process may still get to own."""
        kept = {*self._parked, *self._gaps, *self._due_states, *(item.pipeline_id for item in self._resend)}
        return not kept <= self.broken.keys()

    @property
    def due(self) -> float:
        """The monotonic time of the next try of a claim; infinity if there is none."""
        return self._claims.due

    def send(self) -> bool:
        """Write one batch; return whether there is more."""
        self._try_claims()
        if self._batch is None:
            items = self._next_items()
            if not items and self._claims.due <= time.monotonic():
                self._try_claims()
                items = self._next_items()
            if not items:
                return self.waiting
            self._batch = self._writer.batch(items)
        written = self._writer.write(self._batch)
        batch, self._batch = self._batch, None
        self._handle(written.results, batch)
        return self.waiting

    def renew(self) -> None:
        """Renew all leases, unless the result of a batch is unknown."""
        if self._batch is None and self.claimed:
            expected = {pipeline_id: self._writer.confirmed.get(pipeline_id, 0) for pipeline_id in list(self.claimed)}
            self._handle(self._owner.renew(self._connection, self._writer.identity, expected), None)

    def claim(self, request: ClaimRequest) -> None:
        """Claim the pipelines; the request is answered by the next tries."""
        self._requests.append(request)
        for pipeline_id in request.pipeline_ids:
            self.refused.pop(pipeline_id, None)
            if pipeline_id in self.broken:
                self._claims.discard(pipeline_id)  # it was scheduled for later
            self._claims.add(pipeline_id)

    def fail_claims(self, error: JournalError) -> None:
        """Answer all waiting threads with the error; the claims continue once Redis can be reached."""
        requests, self._requests = self._requests, []
        for request in requests:
            request.fail(error)

    def release(self) -> None:
        """Give up the leases of released pipelines, once everything they published is written."""
        self._released.update(self._queue.releases())
        # In this order: a pipeline publishes its events before it is released.
        if self._released and not self.waiting:
            done = {name for name in self._released if name not in self._claims or name in self.broken}
            self._owner.release(self._connection, *(name for name in done if name in self.claimed))
            for pipeline_id in done:
                self._forget(pipeline_id)
                self.refused.pop(pipeline_id, None)
            self._released -= done

    def restart(self) -> None:
        """Start over with an emptied server: it gets what is queued, then the state of each pipeline."""
        if self._batch is not None:
            self._resend, self._batch = [*self._batch.items, *self._resend], None
        self._claims.restart()
        for pipeline_id in list(self.claimed):
            self._writer.confirmed.pop(pipeline_id, None)
            self._request_state(pipeline_id, gap=False)

    def abandon(self) -> None:
        """Give up what is being written; a status marked as a gap replaces it."""
        lost = {item.pipeline_id for item in (*self._resend, *(() if self._batch is None else self._batch.items))}
        lost.update(event.pipeline_id or "" for event in self._unparked)
        self._batch, self._resend = None, []
        self._unparked.clear()
        for pipeline_id in lost:
            self._request_state(pipeline_id, gap=True)

    # -- the next batch --------------------------------------------------------------------------------------------

    def _next_items(self) -> list[EncodedItem]:
        items = [item for item in self._resend if item.pipeline_id in self.claimed]
        self._resend = [item for item in self._resend if item.pipeline_id not in self.claimed]
        size = sum(item.size for item in items)
        event: PipelineEvent | None = None
        try:
            items += map(EncodedItem.of, self._gap_items())
            for _ in range(MAX_BATCH):
                if len(items) >= MAX_BATCH or size >= MAX_BATCH_BYTES:
                    break
                event = self._unparked.popleft() if self._unparked else self._queue.take()
                # A due state includes only what was published before; with the queue empty, all of that was taken.
                taken = self._take_due_states(list(self._due_states)) if event is None else self._admit(event)
                added = [EncodedItem.of(item) for item in taken]
                items += added
                size += sum(item.size for item in added)
                if event is None:
                    break
        except Exception:
            self._resend = items + self._resend
            if event is not None and event.pipeline_id is not None:
                self._gaps.add(event.pipeline_id)  # whatever is wrong with it, the event is missing now
            raise
        return items

    def _gap_items(self) -> list[Item]:
        self._gaps |= self._queue.take_gaps()
        items: list[Item] = []
        for pipeline_id in list(self._gaps):
            if pipeline_id in self.refused or self._is_claimed(pipeline_id):
                self._gaps.remove(pipeline_id)
                items += [] if pipeline_id in self.refused else self._gap(pipeline_id)
        return items

    def _admit(self, event: PipelineEvent) -> list[Item]:
        pipeline_id = event.pipeline_id
        if pipeline_id is None or pipeline_id in self.refused:
            return []
        if not self._is_claimed(pipeline_id):
            self._parked.setdefault(pipeline_id, []).append(event)
            self._queue.parked += slots_of(event)
            return []
        due = self._due_states.get(pipeline_id)
        items: list[Item] = []
        if due is not None and (event.epoch != due[0].epoch or event.seq > due[0].seq):
            items += self._take_due_states([pipeline_id])
        if self._sequence.misses(event):
            items += self._gap(pipeline_id)
        if not self._sequence.is_old(event):
            items += self._sequence.take(event)
        return items

    def _is_claimed(self, pipeline_id: str) -> bool:
        if pipeline_id in self.claimed:
            return True
        if pipeline_id not in self._claims:
            self._claims.add(pipeline_id)
        return False

    def _gap(self, pipeline_id: str) -> list[Item]:
        status = self._current_status(pipeline_id)
        if status is None or self._sequence.has_reached(status):
            return []
        return self._sequence.take(status, gap=True)

    def _take_due_states(self, pipeline_ids: list[str]) -> list[Item]:
        items: list[Item] = []
        for pipeline_id in pipeline_ids:
            if not self._is_claimed(pipeline_id):
                continue
            status, gap = self._due_states.pop(pipeline_id)
            if not self._sequence.is_old(status):
                self._sequence.forget(pipeline_id)
                items += self._sequence.take(status, gap=gap)
        return items

    # -- results ---------------------------------------------------------------------------------------------------

    def _handle(self, results: dict[str, ScriptResult], batch: WriteBatch | None) -> None:
        unwritten = (ScriptStatus.EXPIRED, ScriptStatus.BEHIND, ScriptStatus.BROKEN)
        if batch is not None:
            self._resend += (item for item in batch.items if results[item.pipeline_id].status in unwritten)
        for pipeline_id, result in results.items():
            match result.status:
                case ScriptStatus.LOST:
                    self._lose(pipeline_id, result.detail)
                case ScriptStatus.BROKEN:
                    self._break(pipeline_id, result)
                case ScriptStatus.EXPIRED | ScriptStatus.BEHIND:
                    if result.status is ScriptStatus.BEHIND and self._writer.confirmed.pop(pipeline_id, 0):
                        self._request_state(pipeline_id, gap=True)
                    self.claimed.pop(pipeline_id, None)
                    self._claims.add(pipeline_id)
                case ScriptStatus.TORN if batch is not None:
                    rest = batch.items[int(result.detail) :]
                    self._resend += (item for item in rest if item.pipeline_id == pipeline_id)
                    self._request_state(pipeline_id, gap=False)
                case ScriptStatus.BARE:
                    self._request_state(pipeline_id, gap=False)

    def _try_claims(self) -> None:
        """Try the claims that are due, and handle the results."""
        if self._claims.due > time.monotonic():
            return
        results = self._claims.try_due(self._writer.identity)
        requested = {pipeline_id for request in self._requests for pipeline_id in request.pipeline_ids}
        answers: dict[str, JournalError | None] = {}
        for pipeline_id, result in results.items():
            if result.status is ScriptStatus.OK:
                self._begin(pipeline_id)
                continue
            answers[pipeline_id] = error = claim_error(self._connection, pipeline_id, result)
            if result.status is ScriptStatus.BROKEN:
                self._break(pipeline_id, result)
            elif pipeline_id not in requested or pipeline_id in self._parked:
                self._refuse(pipeline_id, str(error))
        answers |= dict.fromkeys(self.claimed)
        pending = {name for name in requested if name in self._claims}
        self._requests = [request for request in self._requests if not request.note(answers, pending)]

    def _begin(self, pipeline_id: str) -> None:
        """The pipeline was claimed: its parked events are next."""
        self.claimed[pipeline_id] = None
        if self.broken.pop(pipeline_id, None) is not None:
            logger.warning("pipeline %r is kept in Redis again", pipeline_id, extra=logs.about(pipeline_id))
        parked = self._parked.pop(pipeline_id, [])
        self._queue.parked -= sum(map(slots_of, parked))
        self._unparked.extend(parked)

    def _break(self, pipeline_id: str, result: ScriptResult) -> None:
        """The pipeline's keys can't be used: it waits, and is tried at long intervals."""
        self.claimed.pop(pipeline_id, None)
        self._claims.add(pipeline_id, later=True)
        reason = str(claim_error(self._connection, pipeline_id, result))
        if pipeline_id not in self.broken:
            logger.error("%s; retried every %g s", reason, REFUSED_SECONDS, extra=logs.about(pipeline_id))
        self.broken[pipeline_id] = reason

    def _lose(self, pipeline_id: str, lease: str) -> None:
        owner = describe_owner(lease) if lease else "a process that has ended since"
        self._refuse(pipeline_id, f"pipeline {pipeline_id!r} was taken over by {owner}")

    def _refuse(self, pipeline_id: str, reason: str) -> None:
        self._forget(pipeline_id)
        if pipeline_id in self.refused:
            return
        logger.error("%s; this process no longer publishes it", reason, extra=logs.about(pipeline_id))
        self.refused[pipeline_id] = reason

    def _forget(self, pipeline_id: str) -> None:
        self.claimed.pop(pipeline_id, None)
        self.broken.pop(pipeline_id, None)
        self._claims.discard(pipeline_id)
        self._due_states.pop(pipeline_id, None)
        self._writer.confirmed.pop(pipeline_id, None)
        self._sequence.forget(pipeline_id)
        self._queue.parked -= sum(map(slots_of, self._parked.pop(pipeline_id, [])))
        self._resend = [item for item in self._resend if item.pipeline_id != pipeline_id]

    def _request_state(self, pipeline_id: str, *, gap: bool) -> None:
        status = self._current_status(pipeline_id)
        if status is not None:
            self._due_states[pipeline_id] = (status, gap)

    def _current_status(self, pipeline_id: str) -> PipelineEvent | None:
        try:
            return self._status_of(pipeline_id)
        except Exception:
            logger.exception("the status of pipeline %s can't be read", pipeline_id, extra=logs.about(pipeline_id))
            return None
