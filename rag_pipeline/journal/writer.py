"""The writer: between pipelines and hub where a store keeps the journal; an event passes once it is kept.

A native thread of its own takes what pipelines publish, appends it in batches, and hands it on in the order it came, so
that a mutating thread never waits for a disk. When the store fails, events go on to the hub unkept, under new epochs:
whatever the store shows after the next start, it is not taken for what clients saw since. An event that can't be kept
for a reason of its own is left out, and ends the epoch of its pipeline alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from rag_pipeline.common import native
from rag_pipeline.common.mailbox import LOOK_SECONDS, Mailbox
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, Journal
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import EventBound
from rag_pipeline.status import SnapshotFor, StatusCore

logger = logging.getLogger("rag_pipeline.journal")

MAX_BATCH = 1000
MAX_BATCH_BYTES = 4 << 20
MAX_LEFT_OUT = 100
"""So many events in a row that can't be kept are no fault of theirs: the store is given up."""
STOP_SECONDS = 5.0

T = TypeVar("T")


class Writer(Generic[T]):
    """Takes events, and whatever else is to keep its place among them; ``deliver`` gets all of it, on the thread.

    ``failed`` is called once, on the thread, when the store has failed, ahead of the events that were not kept.
    ``pipelines`` are those whose epoch has to end then. Over the bound of the hand-over events are dropped and counted.
    """

    def __init__(
        self,
        journal: Journal,
        deliver: Callable[[Event | Entry | T], None],
        *,
        failed: Callable[[], None],
        pipelines: Callable[[], Iterable[StatusCore]],
    ) -> None:
        self._journal = journal
        self._deliver = deliver
        self._failed = failed
        self._signal = native.AutoResetEvent()
        self._handover: Mailbox[Event | T] = Mailbox(wake_up=self._signal, bound=EventBound())
        self._epochs = Epochs(pipelines)
        self._taken = 0
        self._left_out = 0
        self._stopping = False
        self._thread: native.NativeThread | None = None
        self.failure: str | None = None

    def publish(self, item: Event | T) -> None:
        """Take the item; never waits."""
        self._handover.publish(item)

    def publish_all(self, items: Iterator[Event | T]) -> None:
        """Take the items; never waits."""
        self._handover.publish_all(items)

    @property
    def queued(self) -> int:
        """How many items wait, or are being written just now."""
        return len(self._handover) + self._taken

    @property
    def progressed_at(self) -> float:
        """The monotonic time at which its last turn began."""
        return self._handover.rearmed_at

    @property
    def ended(self) -> bool:
        """Whether the thread was started and has ended."""
        return self._thread is not None and self._thread.join(0)

    @property
    def dropped(self) -> int:
        """How many events were dropped, since too many waited."""
        return self._handover.dropped

    def start(self) -> None:
        """Start the thread."""
        self._thread = native.start_thread(self._run, "rag-pipeline-journal")

    def stop(self) -> bool:
        """Hand on what is queued, end the thread; return whether it ended in time. Idempotent."""
        self._stopping = True
        self._signal.signal()
        return self._thread is None or self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping or len(self._handover):
            try:
                if not len(self._handover):
                    self._signal.wait(LOOK_SECONDS)
                self._turn()
            except Exception:
                logger.exception("the journal's writer failed")

    def _turn(self) -> None:
        self._handover.rearm()
        self._epochs.watch(self._handover)
        items = self._handover.take_batch(MAX_BATCH, MAX_BATCH_BYTES)
        self._taken = len(items)
        try:
            kept = self._append([item for item in items if isinstance(item, Event)])
        finally:
            self._taken = 0
        for item in items:
            try:
                self._pass_on(item, kept)
            except Exception:
                logger.exception("the journal's writer could not hand on %s", type(item).__name__)

    def _pass_on(self, item: Event | T, kept: dict[int, Entry | Event]) -> None:
        if isinstance(item, Event):
            if (event := kept.get(id(item))) is not None:
                self._deliver(event)
        elif isinstance(item, SnapshotFor):
            self._deliver(item._replace(event=self._epochs.restamped(item.event)))
        else:
            self._deliver(item)

    def _append(self, events: list[Event]) -> dict[int, Entry | Event]:
        """Return by identity what is to be handed on of the events: kept, or under their new epochs."""
        kept: dict[int, Entry | Event] = {}
        self._append_to(kept, events)
        return kept

    def _append_to(self, kept: dict[int, Entry | Event], events: list[Event]) -> None:
        if self.failure is None and events:
            try:
                stamped = [self._epochs.restamped(event) for event in events]
                entries = self._journal.append(stamped)
                kept.update((id(event), entry) for event, entry in zip(events, entries, strict=True))
                self._left_out = 0
                return
            except JournalError as error:
                self._give_up(str(error))
            except Exception as error:  # noqa: BLE001 - a mistake of ours, or an event that nobody foresaw
                if self._split(kept, events, error):
                    return
        kept.update((id(event), self._epochs.restamped(event)) for event in events if id(event) not in kept)

    def _split(self, kept: dict[int, Entry | Event], events: list[Event], error: Exception) -> bool:
        """Keep what can be kept of a batch that can't; return False if the store was given up instead."""
        if len(events) > 1:
            half = len(events) // 2
            self._append_to(kept, events[:half])
            self._append_to(kept, events[half:])
            return True
        self._left_out += 1
        if self._left_out > MAX_LEFT_OUT:
            self._give_up(f"the journal can't be written ({type(error).__name__}: {error})")
            return False
        (event,) = events
        logger.error(
            "%s %d of %s can't be kept and is left out", event.name, event.seq, event.pipeline_id, exc_info=error
        )
        self._epochs.end(event.pipeline_id)
        return True

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        logger.error("%s; events are kept in memory from here on", reason)
        self._failed()
        self._epochs.end_all()
