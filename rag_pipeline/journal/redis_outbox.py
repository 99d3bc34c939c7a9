"""What is to be written next, and what follows from the server's word on it; belongs to the publisher's thread.

A batch is kept until the server has answered, and sent again as it is: the server knows it by its number. What to do
about a pipeline that the server did not take from this process, or has forgotten things of, is decided here.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from rag_pipeline import logs
from rag_pipeline.errors import JournalError
from rag_pipeline.events import Event
from rag_pipeline.journal.redis_batch import MAX_BATCH, Batch, BatchWriter, Continuity, Item, id_of_item
from rag_pipeline.journal.redis_lease import CLAIM_PATIENCE_SECONDS, Holder, Verdict, Word, whose
from rag_pipeline.journal.redis_link import Link
from rag_pipeline.journal.redis_queue import EventQueue

logger = logging.getLogger("rag_pipeline.journal")


class Outbox:
    """Makes batches of what is queued, each event once and in order, and settles what becomes of them."""

    def __init__(
        self,
        queue: EventQueue,
        writer: BatchWriter,
        link: Link,
        holder: Holder,
        status_of: Callable[[str], Event | None],
    ) -> None:
        self.claimed: dict[str, None] = {}
        self.refused: dict[str, str] = {}
        self._queue = queue
        self._writer = writer
        self._link = link
        self._holder = holder
        self._status_of = status_of
        self._continuity = Continuity()
        self._batch: Batch | None = None
        self._again: list[Item] = []  # was in a batch, and has to be in another
        self._ahead: deque[Event] = deque()  # taken from the queue, and has to wait for what comes before
        self._torn: set[str] = set()
        self._released: set[str] = set()
        self._due: dict[str, tuple[Event, bool]] = {}  # a status for when everything before it was taken; as a gap?

    @property
    def waiting(self) -> bool:
        """Whether anything is still to be written."""
        mine = self._batch or self._again or self._ahead or self._torn or self._due
        return bool(mine or len(self._queue) or self._queue.is_torn)

    def send(self) -> bool:
        """Write one batch; return whether there is more."""
        if self._batch is None:
            items = self._next_items()
            if not items:
                return self.waiting
            self._batch = self._writer.batch(items)
        written = self._writer.write(self._batch)
        batch, self._batch = self._batch, None
        self._settle(written.verdicts, batch)
        return self.waiting

    def renew(self) -> None:
        """Renew the leases of all pipelines; none may be in doubt."""
        if self._batch is None:
            expected = {pipeline_id: self._writer.confirmed.get(pipeline_id, 0) for pipeline_id in list(self.claimed)}
            self._settle(self._holder.renew(self._link, self._writer.identity, expected), None)

    def release(self) -> None:
        """Give up the leases of those that asked for it, once all that they published is written."""
        self._released.update(self._queue.releases())
        # Looked at in this order: what they published came before they asked.
        if self._released and not self.waiting:
            self._holder.release(self._link, *(one for one in self._released if one in self.claimed))
            for pipeline_id in self._released:
                self._forget(pipeline_id)
                self.refused.pop(pipeline_id, None)
            self._released.clear()

    def begin_anew(self) -> None:
        """The server has nothing of what it had: it gets what is queued, and then each pipeline as it stands."""
        if self._batch is not None:
            self._again, self._batch = [*self._batch.items, *self._again], None
        for pipeline_id in list(self.claimed):
            self._writer.confirmed.pop(pipeline_id, None)
            self._ask_for_state(pipeline_id, gap=False)

    def abandon(self) -> None:
        """Give up what is being written: a status stands for it, marked as a gap."""
        lost = [*self._again, *self._ahead, *(() if self._batch is None else self._batch.items)]
        self._batch, self._again = None, []
        self._ahead.clear()
        for pipeline_id in {id_of_item(item) for item in lost}:
            self._ask_for_state(pipeline_id, gap=True)

    # -- what comes next -------------------------------------------------------------------------------------------

    def _next_items(self) -> list[Item]:
        items, self._again = self._again, []
        try:
            self._add_gaps(items)
            while len(items) < MAX_BATCH:
                event = self._ahead.popleft() if self._ahead else self._queue.take()
                if event is None:
                    # Whatever these stand for was published before they were asked for, so it has been taken by now.
                    items += self._due_items(list(self._due))
                    break
                self._ahead.append(event)  # until it is in
                items += self._admit(event)
                self._ahead.clear()
        except Exception:
            self._again = items
            raise
        return items

    def _add_gaps(self, items: list[Item]) -> None:
        self._torn |= self._queue.torn()
        for pipeline_id in list(self._torn):
            if pipeline_id not in self.refused and self._is_claimed(pipeline_id):
                items += self._gap(pipeline_id)
            self._torn.remove(pipeline_id)

    def _admit(self, event: Event) -> list[Item]:
        pipeline_id = event.pipeline_id
        if pipeline_id is None or pipeline_id in self.refused or not self._is_claimed(pipeline_id):
            return []
        due = self._due.get(pipeline_id)
        items: list[Item] = []
        if due is not None and (event.epoch != due[0].epoch or event.seq > due[0].seq):
            items += self._due_items([pipeline_id])
        if self._continuity.misses(event):
            items += self._gap(pipeline_id)
        if not self._continuity.is_old(event):
            items += self._continuity.take(event)
        return items

    def _is_claimed(self, pipeline_id: str) -> bool:
        return pipeline_id in self.claimed or self._claim(pipeline_id)

    def _gap(self, pipeline_id: str) -> list[Item]:
        status = self._ask(pipeline_id)
        if status is None or self._continuity.reached(status):
            return []
        return self._continuity.take(status, gap=True)

    def _due_items(self, pipeline_ids: list[str]) -> list[Item]:
        items: list[Item] = []
        for pipeline_id in pipeline_ids:
            status, gap = self._due.pop(pipeline_id)
            if not self._continuity.is_old(status):
                self._continuity.forget(pipeline_id)
                items += self._continuity.take(status, gap=gap)
        return items

    # -- what the server says --------------------------------------------------------------------------------------

    def _settle(self, verdicts: dict[str, Verdict], batch: Batch | None) -> None:
        again = [name for name, verdict in verdicts.items() if verdict.word in (Word.EXPIRED, Word.BEHIND)]
        if batch is not None:
            self._again += (item for item in batch.items if id_of_item(item) in again)
        for pipeline_id, verdict in verdicts.items():
            if verdict.word is Word.LOST:
                self._lose(pipeline_id, verdict.holder)
            elif verdict.word is Word.BEHIND and self._writer.confirmed.pop(pipeline_id, 0):
                self._ask_for_state(pipeline_id, gap=True)
        for pipeline_id in again:
            self._claim(pipeline_id)

    def _claim(self, pipeline_id: str) -> bool:
        """Take the lease; return False if another process has it. Raises JournalError if Redis can't be asked."""
        try:
            # Waited for on the publisher's own thread; meanwhile the queue keeps what is published.
            patience = CLAIM_PATIENCE_SECONDS
            self._holder.claim(self._link, self._writer.identity, pipeline_id, patience_seconds=patience)
        except JournalError as error:
            if error.retryable:
                raise
            self._refuse(pipeline_id, str(error))
            return False
        self.claimed[pipeline_id] = None
        return True

    def _lose(self, pipeline_id: str, holder: str) -> None:
        who = whose(holder) if holder else "a process that has ended since"
        self._refuse(pipeline_id, f"pipeline {pipeline_id!r} was taken over by {who}")

    def _refuse(self, pipeline_id: str, reason: str) -> None:
        self._forget(pipeline_id)
        if pipeline_id in self.refused:
            return
        logger.error("%s; this process publishes it no more", reason, extra=logs.about(pipeline_id))
        self.refused[pipeline_id] = reason

    def _forget(self, pipeline_id: str) -> None:
        self.claimed.pop(pipeline_id, None)
        self._due.pop(pipeline_id, None)
        self._writer.confirmed.pop(pipeline_id, None)
        self._continuity.forget(pipeline_id)
        self._again = [item for item in self._again if id_of_item(item) != pipeline_id]

    def _ask_for_state(self, pipeline_id: str, *, gap: bool) -> None:
        status = self._ask(pipeline_id)
        if status is not None:
            self._due[pipeline_id] = (status, gap)

    def _ask(self, pipeline_id: str) -> Event | None:
        try:
            return self._status_of(pipeline_id)
        except Exception:
            logger.exception("the status of pipeline %s can't be had", pipeline_id, extra=logs.about(pipeline_id))
            return None
