"""The writer: stores events on its own thread, then passes them to the hub.

Pipelines publish to the writer, so a mutating thread never waits for a disk. The writer appends in batches and delivers
in the order of publication. If the journal fails, the writer passes events to the hub unstored, under new epochs. So
clients do not mistake what the journal has after the next start for the events that they saw. If a single event can't
be stored, it is left out, and only the epoch of its pipeline ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.common.mailbox import MAX_WAIT_SECONDS, Mailbox
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, LocalJournal
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import EventOverflow
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.sinks import SnapshotFor

logger = logging.getLogger("rag_pipeline.journal")

MAX_BATCH = 1000
MAX_BATCH_BYTES = 4 << 20
MAX_LEFT_OUT = 100
"""If this many events in a row can't be stored, the journal is at fault, and is given up."""
STOP_SECONDS = 5.0


class JournalWriter:
    """Stores events and delivers them, with all other items in their place among them.

    ``deliver`` gets each item on the writer's thread. ``on_failure`` gets the reason, once, when the journal fails,
    before the events that were not stored. The epochs of ``pipelines`` end then. If too many events wait they are
    dropped and counted.
    """

    def __init__(
        self,
        journal: LocalJournal,
        deliver: Callable[[Any], None],
        *,
        on_failure: Callable[[str], None],
        pipelines: Callable[[], Iterable[StatusCore]],
    ) -> None:
        self._journal = journal
        self._deliver = deliver
        self._on_failure = on_failure
        self._signal = native.AutoResetEvent()
        self._mailbox: Mailbox[Any] = Mailbox(wake_up=self._signal, policy=EventOverflow())
        self._epochs = Epochs(pipelines)
        self._taken = 0
        self._left_out = 0
        self._stopping = False
        self._failed = False
        self._thread: native.NativeThread | None = None

    def publish(self, item: object) -> None:
        """Take the item; never waits."""
        self._mailbox.publish(item)

    def publish_all(self, items: Iterator[object]) -> None:
        """Take the items; never waits."""
        self._mailbox.publish_all(items)

    @property
    def queued(self) -> int:
        """The number of items that wait or are being written."""
        return len(self._mailbox) + self._taken

    @property
    def progressed_at(self) -> float:
        """The monotonic time at which the last turn began."""
        return self._mailbox.rearmed_at

    @property
    def ended(self) -> bool:
        """Whether the thread was started and has ended."""
        return self._thread is not None and self._thread.join(0)

    @property
    def dropped(self) -> int:
        """The number of events dropped because too many waited."""
        return self._mailbox.dropped

    def start(self) -> None:
        """Start the thread."""
        self._thread = native.start_thread(self._run, "rag-pipeline-journal")

    def stop(self) -> bool:
        """Deliver what is queued and end the thread; return whether it ended in time. Idempotent."""
        self._stopping = True
        self._signal.signal()
        return self._thread is None or self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping or len(self._mailbox):
            try:
                if not len(self._mailbox):
                    self._signal.wait(MAX_WAIT_SECONDS)
                self._turn()
            except Exception:
                logger.exception("the journal's writer failed")

    def _turn(self) -> None:
        self._mailbox.rearm()
        self._epochs.watch(self._mailbox)
        items = self._mailbox.take_batch(MAX_BATCH, MAX_BATCH_BYTES)
        self._taken = len(items)
        stored: dict[int, Entry | PipelineEvent] = {}
        try:
            self._store([item for item in items if isinstance(item, PipelineEvent)], stored)
        finally:
            self._taken = 0
        for item in items:
            try:
                self._pass_on(item, stored)
            except Exception:
                logger.exception("the journal's writer could not deliver %s", type(item).__name__)

    def _pass_on(self, item: object, stored: dict[int, Entry | PipelineEvent]) -> None:
        if isinstance(item, PipelineEvent):
            if (event := stored.get(id(item))) is not None:
                self._deliver(event)
        elif isinstance(item, SnapshotFor):
            self._deliver(item._replace(event=self._epochs.restamped(item.event)))
        else:
            self._deliver(item)

    def _store(self, events: list[PipelineEvent], stored: dict[int, Entry | PipelineEvent]) -> None:
        """Store the events; note in ``stored``, by id(), what to deliver for each: its entry, or itself if unstored."""
        if not self._failed and events:
            try:
                entries = self._journal.append([self._epochs.restamped(event) for event in events])
                stored.update((id(event), entry) for event, entry in zip(events, entries, strict=True))
                self._left_out = 0
                return
            except JournalError as error:
                self._give_up(str(error))
            except Exception as error:  # noqa: BLE001 - a bug, or an event that can't be encoded
                if self._split(events, stored, error):
                    return
        stored.update((id(event), self._epochs.restamped(event)) for event in events if id(event) not in stored)

    def _split(self, events: list[PipelineEvent], stored: dict[int, Entry | PipelineEvent], error: Exception) -> bool:
        """Store what can be stored of a failed batch; return False if the journal was given up."""
        if len(events) > 1:
            half = len(events) // 2
            self._store(events[:half], stored)
            self._store(events[half:], stored)
            return True
        self._left_out += 1
        if self._left_out > MAX_LEFT_OUT:
            self._give_up(f"the journal can't be written ({type(error).__name__}: {error})")
            return False
        (event,) = events
        logger.error(
            "%s %d of %s can't be stored and is left out", event.name, event.seq, event.pipeline_id, exc_info=error
        )
        self._epochs.end(event.pipeline_id)
        return True

    def _give_up(self, reason: str) -> None:
        self._failed = True
        logger.error("%s; from now on events are kept in memory only", reason)
        self._on_failure(reason)
        self._epochs.end_all()
