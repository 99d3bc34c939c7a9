"""The writer: between pipelines and hub where a store keeps the journal; an event passes once it is kept.

A native thread of its own takes what pipelines publish, appends it in batches, and hands it on in the order it came, so
that a mutating thread never waits for a disk. When the store fails, events go on to the hub unkept, under new epochs:
whatever the store shows after the next start, it is not taken for what clients saw since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from rag_pipeline import native
from rag_pipeline.errors import JournalError
from rag_pipeline.events import Event
from rag_pipeline.handover import Handover
from rag_pipeline.journal.base import Entry, Journal
from rag_pipeline.status import SnapshotFor, StatusCore
from rag_pipeline.status.model import StateBody

logger = logging.getLogger("rag_pipeline.journal")

MAX_BATCH = 1000
STOP_SECONDS = 5.0
_TURN_SECONDS = 1.0

T = TypeVar("T")


class Writer(Generic[T]):
    """Takes events, and whatever else is to keep its place among them; ``deliver`` gets all of it, on the thread.

    ``failed`` is called once, on the thread, when the store has failed, ahead of the events that were not kept.
    ``pipelines`` are those whose epoch has to end then. Over the limit of the hand-over ``overflowed`` is called.
    """

    def __init__(
        self,
        journal: Journal,
        deliver: Callable[[Event | Entry | T], None],
        *,
        failed: Callable[[], None],
        overflowed: Callable[[], None],
        pipelines: Callable[[], Iterable[StatusCore]],
    ) -> None:
        self._journal = journal
        self._deliver = deliver
        self._failed = failed
        self._overflowed = overflowed
        self._pipelines = pipelines
        self._signal = native.Signal()
        self._handover: Handover[Event | T] = Handover(wake_up=self._signal)
        self._epochs: dict[str, str] = {}
        self._taken = 0
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
            if not len(self._handover):
                self._signal.wait(_TURN_SECONDS)
            try:
                self._turn()
            except Exception:
                logger.exception("the journal's writer failed")

    def _turn(self) -> None:
        self._handover.rearm()
        if self._handover.overflowed:
            self._handover.overflowed = False
            self._overflowed()
            for pipeline in self._pipelines():
                pipeline.begin_epoch()  # numbers that went on would hide what was dropped
        items: list[Event | T] = []
        while len(items) < MAX_BATCH and (item := self._handover.take()) is not None:
            items.append(item)
        self._taken = len(items)
        kept: Iterator[Entry | Event] = iter(self._append([item for item in items if isinstance(item, Event)]))
        self._taken = 0
        for item in items:
            self._deliver(next(kept) if isinstance(item, Event) else self._restamped(item))

    def _append(self, events: list[Event]) -> list[Entry] | list[Event]:
        """Return the events as they are to be handed on: kept, or under their new epochs."""
        if self.failure is None and events:
            try:
                return self._journal.append(events)
            except JournalError as error:
                self._give_up(error)
        return [self._in_new_epoch(event) for event in events]

    def _give_up(self, error: JournalError) -> None:
        self.failure = str(error)
        logger.error("%s; events are kept in memory from here on", error)
        self._failed()
        for pipeline in self._pipelines():
            old, new = pipeline.begin_epoch()
            self._epochs[old] = new

    def _restamped(self, item: Event | T) -> Event | T:
        if self.failure is not None and isinstance(item, SnapshotFor):
            return item._replace(event=self._in_new_epoch(item.event))
        return item

    def _in_new_epoch(self, event: Event) -> Event:
        """Return the event under the epoch its pipeline has since the store failed."""
        new = self._epochs.get(event.epoch or "")
        if new is None:
            return event
        body = event.body._replace(epoch=new) if isinstance(event.body, StateBody) else event.body
        return event._replace(epoch=new, body=body)
