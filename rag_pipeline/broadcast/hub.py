"""The hub: owns the subscribers, drains the hand-over, and sends each event to whoever is to see it.

It runs on one thread and touches neither sockets nor an event loop: whoever drives it calls :meth:`Hub.drain` when the
hand-over's descriptor is readable or the time that the last call returned has come.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.encoding import CHANNELS, Batch, Channel, Packet, batch, packet_for, with_offset
from rag_pipeline.broadcast.remote_states import Views
from rag_pipeline.broadcast.replay import Fetch, Replays
from rag_pipeline.broadcast.snapshots import Round, Snapshots
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.common.mailbox import LOOK_SECONDS, Mailbox
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry, Lineage, Tail, offset_of
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import GAP
from rag_pipeline.status import FlushRequest, Sink, SnapshotFor, StatusCore

logger = logging.getLogger("rag_pipeline.broadcast")

MAX_BATCH_BYTES = 1 << 16
MAX_ITEMS_A_TURN = 1000


class Join(NamedTuple):
    """A newcomer: gets the snapshots or what it missed, then everything newer."""

    subscriber: Subscriber


class Call(NamedTuple):
    """Work for the hub's thread."""

    function: Callable[[], None]


class NewJournal(NamedTuple):
    """From here on positions are those of another journal.

    A store has failed, and the hub numbers events itself. Or what publishers and servers share has lost events: then
    ``entries`` has what is known of each pipeline as of ``newest``.
    """

    lineage: Lineage
    newest: int = 0
    entries: tuple[Entry, ...] | None = None


Item = Event | Entry | FlushRequest | SnapshotFor | Join | Call | NewJournal


class Hub:
    """Fans events out; every method but :meth:`call` belongs to the thread that drains.

    ``tail`` is the end of the journal. Events come as entries if a store has numbered them, else the hub numbers them.
    ``entrance`` is where pipelines publish to; ``fetch`` reads what the tail does not reach back to, and ``reaches``
    says how far that goes. With ``views`` the pipelines' states come from their events, wherever they run, instead of
    from the pipelines.
    """

    def __init__(
        self,
        pipelines: Callable[[], Iterable[StatusCore]],
        handover: Mailbox[Item],
        tail: Tail,
        *,
        entrance: Sink | None = None,
        fetch: Fetch | None = None,
        reaches: Callable[[int], bool] | None = None,
        views: Views | None = None,
        backlog_limit_bytes: int = 1 << 20,
    ) -> None:
        self._pipelines = pipelines
        self._handover = handover
        self._entrance: Sink = handover if entrance is None else entrance
        self.tail = tail
        self._reaches = tail.reaches if reaches is None else reaches
        self._views = views
        # Between two turns the loop writes to those who read fast: what one turn sends must leave them room.
        self._turn_bytes = max(MAX_BATCH_BYTES, backlog_limit_bytes // 2)
        self._settled: dict[Channel, dict[str, Subscriber]] = {
            channel: {} for channels in CHANNELS.values() for channel in channels
        }
        self._joining: dict[str, Subscriber] = {}
        self._replays = Replays(
            self._send_paced,
            caught_up=self._settle,
            ask_states=self._ask_states,
            lost=self._lost,
            failed=lambda subscriber: self._end(subscriber, "it could not be caught up"),
            fetch=fetch,
            backlog_limit_bytes=backlog_limit_bytes,
        )
        self._snapshots = Snapshots(self._show_to, self._replays.greet, tail)
        self._epochs = Epochs(pipelines)
        self._pending: dict[Channel, list[Packet]] = {}
        self._pending_bytes = 0
        self._routed_bytes = 0
        self._timers: list[tuple[float, int, FlushRequest]] = []
        self._order = itertools.count()
        self._tend_due = 0.0
        self.events_sent = 0
        self.clients_dropped = 0

    # -- subscribers -----------------------------------------------------------------------------------------------

    def join(self, subscriber: Subscriber) -> None:
        """Take a newcomer in at its place in the order of events."""
        self._joining[subscriber.sid] = subscriber
        self._handover.publish(Join(subscriber))

    def leave(self, sid: str, namespace: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        for channel in CHANNELS[namespace]:
            self._settled[channel].pop(sid, None)
        self._joining.pop(sid, None)
        self._snapshots.discard(sid)
        self._replays.discard(sid)

    def can_resume(self, offset: object) -> bool:
        """Return whether a client can be sent everything that came after the offset; never waits."""
        return self._position_of(offset) is not None

    def clients(self) -> dict[str, int]:
        """Return the number of subscribers by namespace, and of connections as ``total``."""
        everyone = list(self.subscribers())
        counts = dict.fromkeys(events.NAMESPACES, 0)
        for subscriber in everyone:
            counts[subscriber.namespace] += 1
        return {"total": len({s.client for s in everyone}), **counts}

    def disconnect_all(self, reason: str) -> None:
        """End every connection."""
        for subscriber in list(self.subscribers()):
            self._end(subscriber, reason)

    def count_dropped(self) -> None:
        """Count a client that was disconnected for its backlog."""
        self.clients_dropped += 1

    def call(self, function: Callable[[], None]) -> None:
        """Run the function on the hub's thread, after what was published before; callable from any thread."""
        self._handover.publish(Call(function))

    def subscribers(self) -> Iterable[Subscriber]:
        """Yield everyone: those who get events, and those who are about to."""
        yield from itertools.chain.from_iterable(s.values() for s in self._settled.values())
        yield from self._joining.values()
        yield from self._snapshots.subscribers()
        yield from self._replays.subscribers()

    # -- the loop's turn -------------------------------------------------------------------------------------------

    def drain(self) -> float:
        """Send what is there; return the seconds until the next call, unless the hand-over asks for it before.

        One call handles a bounded number of items, and of bytes, so that the loop gets to accept, read and write in
        between. There is a next call within a second in any case: a wake-up may have been cut short.
        """
        self._handover.rearm()
        self._routed_bytes = 0
        for _ in range(MAX_ITEMS_A_TURN):
            item = self._handover.take()
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
        self._epochs.watch(self._handover)
        wait = self._replays.turn(self.tail) if self._replays else None
        self._snapshots.end_turn()
        if len(self._handover):
            return 0.0
        wait = LOOK_SECONDS if wait is None else wait
        return min(wait, max(0.0, self._timers[0][0] - time.monotonic())) if self._timers else wait

    def _handle(self, item: Item) -> None:
        if isinstance(item, Event):
            self._route(self.tail.number(self._epochs.restamped(item)))
        elif isinstance(item, Entry):
            self._take(item)
        elif isinstance(item, FlushRequest):
            heapq.heappush(self._timers, (item.due, next(self._order), item))
        elif isinstance(item, SnapshotFor):
            self._snapshots.take(item.receiver, self._epochs.restamped(item.event))
        elif isinstance(item, Join):
            self._welcome(item.subscriber)
        elif isinstance(item, NewJournal):
            self._begin_journal(item)
        else:
            self._send_pending()
            item.function()

    def _leave_out(self, item: Item, error: Exception) -> None:
        """Say what could not be handled. An event that is missing ends the epoch of its pipeline."""
        event = item if isinstance(item, Event) else item.event if isinstance(item, (Entry, SnapshotFor)) else None
        if event is None:
            logger.error("a call on the hub failed", exc_info=error)
            if isinstance(item, Join):
                self._end(item.subscriber, "it could not be welcomed")
            return
        logger.error(
            "%s %d of %s can't be shown and is left out", event.name, event.seq, event.pipeline_id, exc_info=error
        )
        if isinstance(item, Event) and item.numbered:
            self.tail.leave_out_last()
        if isinstance(item, SnapshotFor):
            self._snapshots.give_up(item.receiver, event.pipeline_id)
        elif not self._epochs.end(event.pipeline_id) and self._views is not None and event.pipeline_id is not None:
            self._send_view_to_all(event.pipeline_id, GAP)

    def _take(self, entry: Entry) -> None:
        """Take an event that has its place already."""
        if entry.event.numbered:
            self.tail.keep(entry)
        else:
            self.tail.sum_up(entry)
        if self._views is not None:
            self._views.note(entry)
        self._route(entry)

    def _run_timers(self) -> None:
        now = time.monotonic()
        if now >= self._tend_due:
            self._tend_due = now + LOOK_SECONDS
            for pipeline in self._pipelines():
                pipeline.finish()  # what an exception raised into a reporting thread has left half done
        while self._timers and self._timers[0][0] <= now:
            flush = heapq.heappop(self._timers)[2].flush
            try:
                flush()
            except Exception:
                logger.exception("a pipeline could not publish what it held back")

    # -- events ----------------------------------------------------------------------------------------------------

    def _route(self, entry: Entry) -> None:
        event = entry.event
        if self._snapshots:
            self._snapshots.record(entry)
        wanted = [c for namespace in event.namespaces for c in CHANNELS[namespace] if self._settled[c]]
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
            subscribers = self._settled[channel]
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

    def _send_paced(self, subscriber: Subscriber, packets: Batch) -> None:
        self.events_sent += len(packets.packets)
        try:
            subscriber.outlet.send_paced(packets)
        except Exception:  # noqa: BLE001 - as above
            self._drop(subscriber)

    def _drop(self, subscriber: Subscriber) -> None:
        logger.exception("client %s in %s could not be written to", subscriber.sid, subscriber.namespace)
        self._end(subscriber, "writing to it failed")

    def _end(self, subscriber: Subscriber, reason: str) -> None:
        self.leave(subscriber.sid, subscriber.namespace)
        try:
            subscriber.outlet.disconnect(reason)
        except Exception:
            logger.exception("client %s in %s could not be disconnected", subscriber.sid, subscriber.namespace)

    # -- newcomers -------------------------------------------------------------------------------------------------

    def _welcome(self, subscriber: Subscriber) -> None:
        if self._joining.pop(subscriber.sid, None) is None:
            return  # it left before its turn came
        position = self._position_of(subscriber.offset)
        if position is None:
            self._snapshots.add(subscriber)
        else:
            self._replays.add(subscriber, position, self.tail.newest)

    def _position_of(self, offset: object) -> int | None:
        """Return the position to go on from, None if the journal does not reach back to it, or is another one."""
        position = self.tail.lineage.position_of(offset)
        return position if position is not None and self._reaches(position) else None

    def _ask_states(self, subscriber: Subscriber) -> None:
        """A client that came back has all that it missed: the states follow, to check itself against."""
        subscriber.recovered = True
        self._snapshots.add(subscriber)

    def _lost(self, subscriber: Subscriber) -> None:
        """Have a client start afresh: events that it has not got are gone."""
        if subscriber.recovered is not None:
            subscriber.recovered = False
        subscriber.misses_events = subscriber.greeted
        self._snapshots.add(subscriber)

    def _show_to(self, receiver: Round) -> list[str]:
        """Have each pipeline show its state, at its place among its events; return the ids of those that will."""
        if self._views is None:
            shown = [_shown(pipeline, self._entrance, receiver) for pipeline in self._pipelines()]
            return [pipeline_id for pipeline_id in shown if pipeline_id is not None]
        for pipeline_id in self._views.ids():
            if (event := self._views.event(pipeline_id)) is not None:
                receiver.add_state(Entry(self.tail.newest, event))
        return []

    def _settle(self, subscriber: Subscriber) -> None:
        """Let a client that has everything be one of the others."""
        self._send_pending()  # to those who were there before
        self._settled[subscriber.channel][subscriber.sid] = subscriber

    def mark_stalled(self, pipeline_ids: Iterable[str]) -> None:
        """Show which pipelines have stopped reporting, and which are back."""
        assert self._views is not None
        changed = self._views.mark_stalled(pipeline_ids)
        self._send_pending()
        for pipeline_id in changed:
            self._send_view_to_all(pipeline_id)

    def _send_view_to_all(self, pipeline_id: str, more: str = "") -> None:
        assert self._views is not None
        event = self._views.event(pipeline_id)
        if event is None:
            return
        entry, offset = Entry(self.tail.newest, event), offset_of(self.tail.identity, self.tail.newest)
        self.tail.sum_up(entry)
        payload = with_offset(entry.text, offset, more)
        for channel in (channel for namespace in event.namespaces for channel in CHANNELS[namespace]):
            if subscribers := list(self._settled[channel].values()):
                packet = packet_for(channel, events.STATUS, payload, offset)
                for subscriber in subscribers:
                    self._send(subscriber, packet)

    def _begin_journal(self, item: NewJournal) -> None:
        self._send_pending()
        behind = [*self._replays.abort(), *self._snapshots.abort()]
        self.tail.begin(item.lineage, item.newest)
        if self._views is not None and item.entries is not None:
            self._views.begin(item.entries)
            for pipeline_id in self._views.ids():
                self._send_view_to_all(pipeline_id, GAP)
        for subscriber in behind:
            self._lost(subscriber)


def _shown(pipeline: StatusCore, entrance: Sink, receiver: Round) -> str | None:
    try:
        return pipeline.show_to(entrance, receiver)
    except Exception:
        logger.exception("the state of %s can't be shown", pipeline.pipeline_id)
        return None
