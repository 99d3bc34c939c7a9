"""What is to be written next, and what follows from the server's word on it; belongs to the publisher's thread.

A batch is kept until the server has answered, and sent again as it is: the server knows it by its number. What to do
about a pipeline that the server did not take from this process, or has forgotten things of, is decided here. One that
is not this process's yet, or can't be written, waits with what it published; the others go on.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from rag_pipeline.common import logs
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.backoff import REFUSED_SECONDS
from rag_pipeline.journal.redis.batch import MAX_BATCH, MAX_BATCH_BYTES, Batch, BatchWriter, Continuity, Item, Line
from rag_pipeline.journal.redis.claims import ClaimRequest, Claims
from rag_pipeline.journal.redis.connection import Link
from rag_pipeline.journal.redis.lease import CLAIM_PATIENCE_SECONDS, Holder, Verdict, Word, refusal, whose
from rag_pipeline.journal.redis.queue import EventQueue, slots_of

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
        *,
        patience_seconds: float = CLAIM_PATIENCE_SECONDS,
    ) -> None:
        self.claimed: dict[str, None] = {}
        self.refused: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self._queue = queue
        self._writer = writer
        self._link = link
        self._holder = holder
        self._status_of = status_of
        self._claims = Claims(holder, link, patience_seconds)
        self._requests: list[ClaimRequest] = []
        self._continuity = Continuity()
        self._batch: Batch | None = None
        self._again: list[Line] = []  # was in a batch, and has to be in another
        self._parked: dict[str, list[Event]] = {}  # taken from the queue, of pipelines that are claimed
        self._ahead: deque[Event] = deque()  # was parked, and comes before what is in the queue
        self._torn: set[str] = set()
        self._released: set[str] = set()
        self._due: dict[str, tuple[Event, bool]] = {}  # a status for when everything before it was taken; as a gap?

    @property
    def waiting(self) -> bool:
        """Whether anything can be written, or asked, right now."""
        if self._batch or self._ahead or self._queue or self._queue.is_torn:
            return True
        ready = self.claimed.keys()
        if any(line.pipeline_id in ready for line in self._again) or not ready.isdisjoint(self._torn | {*self._due}):
            return True
        return self._claims.due <= time.monotonic()

    @property
    def holding(self) -> bool:
        """Whether anything of a pipeline that may still become this process's waits for that."""
        kept = {*self._parked, *self._torn, *self._due, *(line.pipeline_id for line in self._again)}
        return not kept <= self.broken.keys()

    @property
    def due(self) -> float:
        """When another process's lease has to be looked at again, in monotonic seconds; never if there is none."""
        return self._claims.due

    def send(self) -> bool:
        """Write one batch; return whether there is more."""
        self._look()
        if self._batch is None:
            lines = self._next_lines()
            if not lines and self._claims.due <= time.monotonic():
                self._look()
                lines = self._next_lines()
            if not lines:
                return self.waiting
            self._batch = self._writer.batch(lines)
        written = self._writer.write(self._batch)
        batch, self._batch = self._batch, None
        self._settle(written.verdicts, batch)
        return self.waiting

    def renew(self) -> None:
        """Renew the leases of all pipelines; none may be in doubt."""
        if self._batch is None and self.claimed:
            expected = {pipeline_id: self._writer.confirmed.get(pipeline_id, 0) for pipeline_id in list(self.claimed)}
            self._settle(self._holder.renew(self._link, self._writer.identity, expected), None)

    def claim(self, request: ClaimRequest) -> None:
        """Ask for the ids; the request is answered with the next looks."""
        self._requests.append(request)
        for pipeline_id in request.pipeline_ids:
            self.refused.pop(pipeline_id, None)
            if pipeline_id in self.broken:
                self._claims.discard(pipeline_id)  # it would be asked for later
            self._claims.add(pipeline_id)

    def fail_claims(self, error: JournalError) -> None:
        """Answer all who wait for ids that Redis can't be asked; the ids are asked for again once it can."""
        requests, self._requests = self._requests, []
        for request in requests:
            request.fail(error)

    def release(self) -> None:
        """Give up the leases of those that asked for it, once all that they published is written."""
        self._released.update(self._queue.releases())
        # Looked at in this order: what they published came before they asked.
        if self._released and not self.waiting:
            done = {one for one in self._released if one not in self._claims or one in self.broken}
            self._holder.release(self._link, *(one for one in done if one in self.claimed))
            for pipeline_id in done:
                self._forget(pipeline_id)
                self.refused.pop(pipeline_id, None)
            self._released -= done

    def begin_anew(self) -> None:
        """The server has nothing of what it had: it gets what is queued, and then each pipeline as it stands."""
        if self._batch is not None:
            self._again, self._batch = [*self._batch.lines, *self._again], None
        self._claims.begin_anew()
        for pipeline_id in list(self.claimed):
            self._writer.confirmed.pop(pipeline_id, None)
            self._ask_for_state(pipeline_id, gap=False)

    def abandon(self) -> None:
        """Give up what is being written: a status stands for it, marked as a gap."""
        lost = {line.pipeline_id for line in (*self._again, *(() if self._batch is None else self._batch.lines))}
        lost.update(event.pipeline_id or "" for event in self._ahead)
        self._batch, self._again = None, []
        self._ahead.clear()
        for pipeline_id in lost:
            self._ask_for_state(pipeline_id, gap=True)

    # -- what comes next -------------------------------------------------------------------------------------------

    def _next_lines(self) -> list[Line]:
        lines = [line for line in self._again if line.pipeline_id in self.claimed]
        self._again = [line for line in self._again if line.pipeline_id not in self.claimed]
        size = sum(line.size for line in lines)
        event: Event | None = None
        try:
            lines += map(Line.of, self._gaps())
            for _ in range(MAX_BATCH):
                if len(lines) >= MAX_BATCH or size >= MAX_BATCH_BYTES:
                    break
                event = self._ahead.popleft() if self._ahead else self._queue.take()
                # Whatever is due stands for was published before it was asked for, so it has been taken by now.
                items = self._due_items(list(self._due)) if event is None else self._admit(event)
                added = [Line.of(item) for item in items]
                lines += added
                size += sum(line.size for line in added)
                if event is None:
                    break
        except Exception:
            self._again = lines + self._again
            if event is not None and event.pipeline_id is not None:
                self._torn.add(event.pipeline_id)  # what is wrong with it is not known, but that it is missing
            raise
        return lines

    def _gaps(self) -> list[Item]:
        self._torn |= self._queue.torn()
        items: list[Item] = []
        for pipeline_id in list(self._torn):
            if pipeline_id in self.refused or self._is_claimed(pipeline_id):
                self._torn.remove(pipeline_id)
                items += [] if pipeline_id in self.refused else self._gap(pipeline_id)
        return items

    def _admit(self, event: Event) -> list[Item]:
        pipeline_id = event.pipeline_id
        if pipeline_id is None or pipeline_id in self.refused:
            return []
        if not self._is_claimed(pipeline_id):
            self._parked.setdefault(pipeline_id, []).append(event)
            self._queue.parked += slots_of(event)
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
        if pipeline_id in self.claimed:
            return True
        if pipeline_id not in self._claims:
            self._claims.add(pipeline_id)
        return False

    def _gap(self, pipeline_id: str) -> list[Item]:
        status = self._ask(pipeline_id)
        if status is None or self._continuity.reached(status):
            return []
        return self._continuity.take(status, gap=True)

    def _due_items(self, pipeline_ids: list[str]) -> list[Item]:
        items: list[Item] = []
        for pipeline_id in pipeline_ids:
            if not self._is_claimed(pipeline_id):
                continue
            status, gap = self._due.pop(pipeline_id)
            if not self._continuity.is_old(status):
                self._continuity.forget(pipeline_id)
                items += self._continuity.take(status, gap=gap)
        return items

    # -- what the server says --------------------------------------------------------------------------------------

    def _settle(self, verdicts: dict[str, Verdict], batch: Batch | None) -> None:
        again = {name for name, verdict in verdicts.items() if verdict.word in (Word.EXPIRED, Word.BEHIND, Word.BROKEN)}
        if batch is not None:
            self._again += (line for line in batch.lines if line.pipeline_id in again)
        for pipeline_id, verdict in verdicts.items():
            match verdict.word:
                case Word.LOST:
                    self._lose(pipeline_id, verdict.holder)
                case Word.BROKEN:
                    self._break(pipeline_id, verdict)
                case Word.EXPIRED | Word.BEHIND:
                    if verdict.word is Word.BEHIND and self._writer.confirmed.pop(pipeline_id, 0):
                        self._ask_for_state(pipeline_id, gap=True)
                    self.claimed.pop(pipeline_id, None)
                    self._claims.add(pipeline_id)
                case Word.TORN if batch is not None:
                    rest = batch.lines[int(verdict.holder) :]
                    self._again += (line for line in rest if line.pipeline_id == pipeline_id)
                    self._ask_for_state(pipeline_id, gap=False)
                case Word.BARE:
                    self._ask_for_state(pipeline_id, gap=False)

    def _look(self) -> None:
        """Ask for the leases that are due, and take in what came of it."""
        if self._claims.due > time.monotonic():
            return
        verdicts = self._claims.look(self._writer.identity)
        asked_for = {pipeline_id for request in self._requests for pipeline_id in request.pipeline_ids}
        for pipeline_id, verdict in verdicts.items():
            if verdict.word is Word.OK:
                self._begin(pipeline_id)
            elif verdict.word is Word.BROKEN:
                self._break(pipeline_id, verdict)
            elif pipeline_id not in asked_for or pipeline_id in self._parked:
                self._refuse(pipeline_id, str(refusal(self._link, pipeline_id, verdict)))
        answers = {pipeline_id: self._claims.error(pipeline_id, verdict) for pipeline_id, verdict in verdicts.items()}
        answers |= dict.fromkeys(self.claimed)
        self._requests = [one for one in self._requests if not one.note(answers, self._pending())]

    def _pending(self) -> set[str]:
        return {name for request in self._requests for name in request.pipeline_ids if name in self._claims}

    def _begin(self, pipeline_id: str) -> None:
        """The lease was had: what waited for it goes first."""
        self.claimed[pipeline_id] = None
        if self.broken.pop(pipeline_id, None) is not None:
            logger.warning("pipeline %r is kept in Redis again", pipeline_id, extra=logs.about(pipeline_id))
        parked = self._parked.pop(pipeline_id, [])
        self._queue.parked -= sum(map(slots_of, parked))
        self._ahead.extend(parked)

    def _break(self, pipeline_id: str, verdict: Verdict) -> None:
        """Keys of the pipeline can't be used: it waits, and is tried again at long intervals."""
        self.claimed.pop(pipeline_id, None)
        self._claims.add(pipeline_id, later=True)
        reason = str(refusal(self._link, pipeline_id, verdict))
        if pipeline_id not in self.broken:
            logger.error("%s; it is tried every %g s", reason, REFUSED_SECONDS, extra=logs.about(pipeline_id))
        self.broken[pipeline_id] = reason

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
        self.broken.pop(pipeline_id, None)
        self._claims.discard(pipeline_id)
        self._due.pop(pipeline_id, None)
        self._writer.confirmed.pop(pipeline_id, None)
        self._continuity.forget(pipeline_id)
        self._queue.parked -= sum(map(slots_of, self._parked.pop(pipeline_id, [])))
        self._again = [line for line in self._again if line.pipeline_id != pipeline_id]

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
