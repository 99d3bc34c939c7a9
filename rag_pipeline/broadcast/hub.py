"""The hub: takes events from its mailbox and sends each one to the live subscribers of its namespaces.

It runs on one thread and touches neither sockets nor an event loop. The loop that drives it calls :meth:`Hub.drain`
when the mailbox's descriptor is readable, or when the time that the last call returned has passed.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.encoding import (
    CHANNELS,
    BroadcastChannel,
    Packet,
    PacketBatch,
    batch,
    packet_for,
    with_offset,
)
from rag_pipeline.broadcast.newcomers import Newcomers
from rag_pipeline.broadcast.pages import Fetch
from rag_pipeline.broadcast.remote_states import RemoteStates
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.common.mailbox import MAX_WAIT_SECONDS, Mailbox
from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, Generations, Tail, offset_of
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import GAP
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.sinks import DueFlush, Sink, SnapshotFor

logger = logging.getLogger("rag_pipeline.broadcast")

MAX_BATCH_BYTES = 1 << 16
MAX_ITEMS_A_TURN = 1000


class Join(NamedTuple):
    """A newcomer that joins at this point in the order of events."""

    subscriber: Subscriber


class HubCall(NamedTuple):
    """A function to call on the hub's thread."""

    function: Callable[[], None]


class NewJournal(NamedTuple):
    """From here on, positions are those of another journal.

    Either a store has failed and the hub numbers events itself. Or a shared journal has lost events: then ``entries``
    holds the last state of each pipeline as of ``newest``.
    """

    generations: Generations
    newest: int = 0
    entries: tuple[Entry, ...] | None = None


HubItem = PipelineEvent | Entry | DueFlush | SnapshotFor | Join | HubCall | NewJournal


class Hub:
    """Broadcasts events. Every method but :meth:`call` belongs to the thread that drains.

    ``tail`` is the end of the journal. A store sends events that it has numbered, as entries; the hub numbers the
    others. ``sink`` is where pipelines publish (default: the mailbox). ``fetch`` reads events that are older than the
    tail, and ``reaches`` tells how far back that goes. With ``remote_states``, states are computed from events of any
    process instead of being requested from ``pipelines``.
    """

    def __init__(
        self,
        pipelines: Callable[[], Iterable[StatusCore]],
        mailbox: Mailbox[HubItem],
        tail: Tail,
        *,
        sink: Sink | None = None,
        fetch: Fetch | None = None,
        reaches: Callable[[int], bool] | None = None,
        remote_states: RemoteStates | None = None,
        backlog_limit_bytes: int = 1 << 20,
    ) -> None:
        self.mailbox = mailbox
        self.tail = tail
        self.events_sent = 0
        self.clients_dropped = 0
        self._pipelines = pipelines
        self._remote_states = remote_states
        # Between two turns the loop writes to clients that read fast: one turn must leave them room in their backlog.
        self._turn_bytes = max(MAX_BATCH_BYTES, backlog_limit_bytes // 2)
        self._live: dict[BroadcastChannel, dict[str, Subscriber]] = {
            channel: {} for channels in CHANNELS.values() for channel in channels
        }
        self._newcomers = Newcomers(
            pipelines,
            tail,
            sink=mailbox if sink is None else sink,
            reaches=tail.reaches if reaches is None else reaches,
            fetch=fetch,
            remote_states=remote_states,
            send=self._send_paced,
            go_live=self._go_live,
            end=self._end,
            backlog_limit_bytes=backlog_limit_bytes,
        )
        self._rounds = self._newcomers.rounds
        self._epochs = Epochs(pipelines)
        self._pending: dict[BroadcastChannel, list[Packet]] = {}
        self._pending_bytes = 0
        self._routed_bytes = 0
        self._timers: list[tuple[float, int, DueFlush]] = []
        self._timer_order = itertools.count()
        self._finish_due = 0.0

    # -- subscribers ---------------------------------------------------------------------------------------------------

    def join(self, subscriber: Subscriber) -> None:
        """Let a newcomer join at this point in the order of events."""
        self._newcomers.expect(subscriber)
        self.mailbox.publish(Join(subscriber))

    def leave(self, sid: str, namespace: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        for channel in CHANNELS[namespace]:
            self._live[channel].pop(sid, None)
        self._newcomers.discard(sid)

    def can_resume(self, offset: object) -> bool:
        """Return whether a client can be sent every event after the offset; never waits."""
        return self._newcomers.resume_position(offset) is not None

    def clients(self) -> dict[str, int]:
        """Return the number of subscribers by namespace, and of connections as ``total``."""
        everyone = list(self.subscribers())
        counts = dict.fromkeys(events.NAMESPACES, 0)
        for subscriber in everyone:
            counts[subscriber.namespace] += 1
        return {"total": len({s.client for s in everyone}), **counts}

    def count_dropped(self) -> None:
        """Count a client that was disconnected for its backlog."""
        self.clients_dropped += 1

    def call(self, function: Callable[[], None]) -> None:
        """Run the function on the hub's thread, after everything published before; from any thread."""
        self.mailbox.publish(HubCall(function))

    def subscribers(self) -> Iterable[Subscriber]:
        """Yield the live subscribers and the newcomers."""
        yield from itertools.chain.from_iterable(s.values() for s in self._live.values())
        yield from self._newcomers.subscribers()

    # -- the loop's turn -----------------------------------------------------------------------------------------------

    def drain(self) -> float:
        """Send what is queued; return the seconds until the next call, unless the mailbox wakes the loop before.

        One call handles a bounded number of items and of bytes, so that the loop can accept, read and write in between.
        The next call is due within a second in any case, because a wake-up may have been interrupted.
        """
        self.mailbox.rearm()
        self._routed_bytes = 0
        for _ in range(MAX_ITEMS_A_TURN):
            item = self.mailbox.take()
            if item is None:
                break
            try:
                self._handle(item)
            except Exception as error:  # noqa: BLE001 - one bad item never stops the others
                self._leave_out(item, error)
            if self._routed_bytes >= self._turn_bytes:
                break
        self._send_pending()
        self._run_timers()
        self._epochs.watch(self.mailbox)
        wait = self._newcomers.turn()
        if len(self.mailbox):
            return 0.0
        wait = MAX_WAIT_SECONDS if wait is None else wait
        return min(wait, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else wait

    def _handle(self, item: HubItem) -> None:
        if isinstance(item, PipelineEvent):
            self._route(self.tail.number(self._epochs.restamped(item)))
        elif isinstance(item, Entry):
            self._take(item)
        elif isinstance(item, DueFlush):
            heapq.heappush(self._timers, (item.due, next(self._timer_order), item))
        elif isinstance(item, SnapshotFor):
            self._rounds.take(item.receiver, self._epochs.restamped(item.event))
        elif isinstance(item, Join):
            self._newcomers.welcome(item.subscriber)
        elif isinstance(item, NewJournal):
            self._switch_journal(item)
        else:
            self._send_pending()
            item.function()

    def _leave_out(self, item: HubItem, error: Exception) -> None:
        """Log an item that failed. If it is an event, end the epoch of its pipeline: an event is missing now."""
        event = (
            item if isinstance(item, PipelineEvent) else item.event if isinstance(item, (Entry, SnapshotFor)) else None
        )
        if event is None:
            logger.error("a call on the hub failed", exc_info=error)
            if isinstance(item, Join):
                self._end(item.subscriber, "it could not be welcomed")
            return
        logger.error(
            "%s %d of %s can't be shown and is left out", event.name, event.seq, event.pipeline_id, exc_info=error
        )
        if isinstance(item, PipelineEvent) and item.numbered:
            self.tail.leave_out_last()
        if isinstance(item, SnapshotFor):
            self._rounds.give_up(item.receiver, event.pipeline_id)
        elif not self._epochs.end(event.pipeline_id) and self._remote_states is not None and event.pipeline_id:
            self._send_remote_state(event.pipeline_id, GAP)

    def _take(self, entry: Entry) -> None:
        """Handle an event that a store has numbered."""
        if entry.event.numbered:
            self.tail.keep(entry)
        else:
            self.tail.note_summary(entry)
        if self._remote_states is not None:
            self._remote_states.note(entry)
        self._route(entry)

    def _run_timers(self) -> None:
        now = time.monotonic()
        if now >= self._finish_due:
            self._finish_due = now + MAX_WAIT_SECONDS
            for pipeline in self._pipelines():
                pipeline.finish()  # a change that an exception raised into the reporting thread has interrupted
        while self._timers and self._timers[0][0] <= now:
            flush = heapq.heappop(self._timers)[2].flush
            try:
                flush()
            except Exception:
                logger.exception("a pipeline could not publish what it held back")

    # -- sending -------------------------------------------------------------------------------------------------------

    def _route(self, entry: Entry) -> None:
        event = entry.event
        if self._rounds.open:
            self._rounds.record(entry)
        wanted = [c for namespace in event.namespaces for c in CHANNELS[namespace] if self._live[c]]
        if not wanted:
            return
        offset = offset_of(self.tail.identity, entry.position)
        payload = with_offset(entry.text, offset)
        self._routed_bytes += len(payload)
        for channel in wanted:
            packet = packet_for(channel, event.name, payload, offset)
            self._pending.setdefault(channel, []).append(packet)
            self._pending_bytes += len(packet.frame)
        if self._pending_bytes >= MAX_BATCH_BYTES:
            self._send_pending()

    def _send_pending(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, {}, 0
        for channel, packets in pending.items():
            joined = batch(packets)
            subscribers = self._live[channel]
            self.events_sent += len(packets) * len(subscribers)
            for subscriber in list(subscribers.values()):
                try:
                    subscriber.outlet.send(joined)
                except Exception:  # noqa: BLE001 - one bad receiver never stops the others
                    self._drop(subscriber)

    def _send(self, subscriber: Subscriber, packet: Packet) -> None:
        self.events_sent += 1
        try:
            subscriber.outlet.send(batch([packet]))
        except Exception:  # noqa: BLE001 - as above
            self._drop(subscriber)

    def _send_paced(self, subscriber: Subscriber, packets: PacketBatch) -> None:
        self.events_sent += len(packets.packets)
        try:
            subscriber.outlet.send_paced(packets)
        except Exception:  # noqa: BLE001 - as above
            self._drop(subscriber)

    def _go_live(self, subscriber: Subscriber) -> None:
        """Move a caught-up client to the live set."""
        self._send_pending()  # to the clients that were live before
        self._live[subscriber.channel][subscriber.sid] = subscriber

    def _drop(self, subscriber: Subscriber) -> None:
        logger.exception("client %s in %s could not be written to", subscriber.sid, subscriber.namespace)
        self._end(subscriber, "writing to it failed")

    def _end(self, subscriber: Subscriber, reason: str) -> None:
        self.leave(subscriber.sid, subscriber.namespace)
        try:
            subscriber.outlet.disconnect(reason)
        except Exception:
            logger.exception("client %s in %s could not be disconnected", subscriber.sid, subscriber.namespace)

    # -- pipelines of other processes, and a journal that is replaced --------------------------------------------------

    def mark_stalled(self, pipeline_ids: Iterable[str]) -> None:
        """Show which remote pipelines have stopped reporting, and which report again."""
        assert self._remote_states is not None
        changed = self._remote_states.mark_stalled(pipeline_ids)
        self._send_pending()
        for pipeline_id in changed:
            self._send_remote_state(pipeline_id)

    def _send_remote_state(self, pipeline_id: str, extra: str = "") -> None:
        assert self._remote_states is not None
        event = self._remote_states.event(pipeline_id)
        if event is None:
            return
        entry, offset = Entry(self.tail.newest, event), offset_of(self.tail.identity, self.tail.newest)
        self.tail.note_summary(entry)
        payload = with_offset(entry.text, offset, extra)
        for channel in (channel for namespace in event.namespaces for channel in CHANNELS[namespace]):
            if subscribers := list(self._live[channel].values()):
                packet = packet_for(channel, events.STATUS, payload, offset)
                for subscriber in subscribers:
                    self._send(subscriber, packet)

    def _switch_journal(self, item: NewJournal) -> None:
        self._send_pending()
        aborted = self._newcomers.abort()
        self.tail.reset(item.generations, item.newest)
        if self._remote_states is not None and item.entries is not None:
            self._remote_states.begin(item.entries)
            for pipeline_id in self._remote_states.ids():
                self._send_remote_state(pipeline_id, GAP)
        for subscriber in aborted:
            self._newcomers.start_over(subscriber)
