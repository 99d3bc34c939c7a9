"""The hub: owns the subscribers, drains the hand-over, and sends each event to whoever is to see it.

It runs on one thread and touches neither sockets nor an event loop: whoever drives it calls :meth:`Hub.drain` when the
hand-over's descriptor is readable or the time that the last call returned has come.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline import events
from rag_pipeline.events import NOWHERE, Event
from rag_pipeline.fanout.encoding import CHANNELS, Batch, Channel, Packet, batch, packet_for, with_offset
from rag_pipeline.fanout.replay import Fetch, Replays
from rag_pipeline.fanout.subscriber import Subscriber
from rag_pipeline.fanout.views import Views
from rag_pipeline.handover import Handover
from rag_pipeline.journal import Entry, Lineage, Tail, encode_payload, new_identity, offset_of
from rag_pipeline.status import FlushRequest, Sink, SnapshotFor, StatusCore
from rag_pipeline.status.state import Moment, PipelineState

logger = logging.getLogger("rag_pipeline.fanout")

MAX_BATCH_BYTES = 1 << 16
MAX_ITEMS_A_TURN = 1000
GAP = '"gap":true,'
"""The member of a status that stands for events which are missing."""


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
        handover: Handover[Item],
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
        self._settled: dict[Channel, dict[str, Subscriber]] = {
            channel: {} for channels in CHANNELS.values() for channel in channels
        }
        self._joining: dict[str, Subscriber] = {}
        self._replays = Replays(self._send_batch, self._caught_up, self._greet, fetch, backlog_limit_bytes)
        self._pending: dict[Channel, list[Packet]] = {}
        self._pending_bytes = 0
        self._timers: list[tuple[float, int, FlushRequest]] = []
        self._order = itertools.count()
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
        yield from self._replays.subscribers()

    # -- the loop's turn -------------------------------------------------------------------------------------------

    def drain(self) -> float | None:
        """Send what is there; return the seconds until the next call, None if only the hand-over says when.

        One call handles a bounded number of items, so that the loop gets to accept and read in between.
        """
        self._handover.rearm()
        if self._handover.overflowed:
            self._handover.overflowed = False
            self.disconnect_all("the service fell too far behind the pipeline")
            if self._entrance is self._handover:  # events were dropped before they had a place
                self.tail.begin(Lineage(new_identity()))
        for _ in range(MAX_ITEMS_A_TURN):
            item = self._handover.take()
            if item is None:
                break
            self._handle(item)
        self._send_pending()
        self._run_timers()
        wait = self._replays.turn(self.tail) if self._replays else None
        if len(self._handover):
            return 0.0
        if self._timers:
            due = max(0.0, self._timers[0][0] - time.monotonic())
            wait = due if wait is None else min(wait, due)
        return wait

    def _handle(self, item: Item) -> None:
        if isinstance(item, Event):
            self._route(self.tail.number(item))
        elif isinstance(item, Entry):
            self._take(item)
        elif isinstance(item, FlushRequest):
            heapq.heappush(self._timers, (item.due, next(self._order), item))
        elif isinstance(item, SnapshotFor):
            self._show(item)
        elif isinstance(item, Join):
            self._welcome(item.subscriber)
        elif isinstance(item, NewJournal):
            self._begin_journal(item)
        else:
            self._send_pending()
            try:
                item.function()
            except Exception:
                logger.exception("a call on the hub failed")

    def _take(self, entry: Entry) -> None:
        """Take an event that has its place already."""
        if entry.event.numbered:
            self.tail.keep(entry)
        else:
            self.tail.newest = max(self.tail.newest, entry.position)
        if self._views is not None:
            self._views.note(entry)
        self._route(entry)

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].flush()

    # -- events ----------------------------------------------------------------------------------------------------

    def _route(self, entry: Entry) -> None:
        event = entry.event
        wanted = [c for namespace in event.namespaces for c in CHANNELS[namespace] if self._settled[c]]
        if not wanted and not self._joining:
            return
        offset = offset_of(self.tail.identity, entry.position)
        payload = with_offset(entry.text, offset)
        if self._joining:
            self._send_joining(event, with_offset(entry.text, NOWHERE))
        for channel in wanted:
            packet = packet_for(channel, event.name, payload, offset)
            self._pending.setdefault(channel, []).append(packet)
            self._pending_bytes += len(packet.frame)
        if self._pending_bytes >= MAX_BATCH_BYTES:
            self._send_pending()

    def _send_joining(self, event: Event, payload: str) -> None:
        """Send an event to newcomers that have its pipeline's state already."""
        for subscriber in list(self._joining.values()):  # one that fails is dropped on the way
            if subscriber.awaited is None or event.pipeline_id in subscriber.awaited:
                continue  # the state that is on its way to it will show this event's change
            if subscriber.namespace in event.namespaces:
                self._send(subscriber, packet_for(subscriber.channel, event.name, payload, NOWHERE))

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
        self._send_batch(subscriber, batch([packet]))

    def _send_batch(self, subscriber: Subscriber, packets: Batch) -> None:
        self.events_sent += len(packets.packets)
        try:
            subscriber.outlet.send(packets)
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
        if subscriber.sid not in self._joining:
            return  # it left before its turn came
        position = self._position_of(subscriber.offset)
        if position is None:
            self._greet(subscriber)
        else:
            del self._joining[subscriber.sid]
            self._replays.add(subscriber, position)

    def _position_of(self, offset: object) -> int | None:
        """Return the position to go on from, None if the journal does not reach back to it, or is another one."""
        position = self.tail.lineage.position_of(offset)
        return position if position is not None and self._reaches(position) else None

    def _greet(self, subscriber: Subscriber) -> None:
        """Have each pipeline's state sent to a newcomer, at its place among the events."""
        self._joining[subscriber.sid] = subscriber
        self._ask_for_states(subscriber)

    def _caught_up(self, subscriber: Subscriber) -> None:
        """Let one that has read everything be one of the others; the states follow, to check itself against."""
        subscriber.recovered = True
        self._settle(subscriber)
        self._ask_for_states(subscriber)

    def _ask_for_states(self, subscriber: Subscriber) -> None:
        if self._views is not None:
            shown = self._views.ids(subscriber.namespace)
            for place, pipeline_id in enumerate(shown, 1):
                subscriber.awaited = set(shown[place:])
                self._send_view(subscriber, pipeline_id, _answer(subscriber))
            self._complete(subscriber)
            return
        # Not those of other namespaces: nothing would be sent for the last of them, so that it would not be seen to be.
        here = (p for p in self._pipelines() if subscriber.namespace in events.namespaces_of(p.pipeline_type))
        asked = [pipeline.show_to(self._entrance, subscriber) for pipeline in here]
        subscriber.awaited = {pipeline_id for pipeline_id in asked if pipeline_id is not None}
        if not subscriber.awaited:
            self._complete(subscriber)

    def _show(self, item: SnapshotFor) -> None:
        subscriber, event = item.receiver, item.event
        if not isinstance(subscriber, Subscriber) or not subscriber.awaited or event.pipeline_id is None:
            return
        subscriber.awaited.discard(event.pipeline_id)
        if subscriber.namespace in event.namespaces and self._knows(subscriber):
            self._send_pending()
            self._send_state(subscriber, event)
        if not subscriber.awaited:
            self._complete(subscriber)

    def _complete(self, subscriber: Subscriber) -> None:
        """The states asked for have come: a newcomer is one of the others from here on."""
        if not self._knows(subscriber):
            return  # it left meanwhile
        if not subscriber.greeted:
            self._send_state(subscriber, _nobody_yet(subscriber.namespace))
        if self._joining.pop(subscriber.sid, None) is not None:
            self._settle(subscriber)

    def _send_state(self, subscriber: Subscriber, event: Event) -> None:
        self._send_status(subscriber, encode_payload(event), _answer(subscriber))

    def _send_view(self, subscriber: Subscriber, pipeline_id: str, more: str) -> None:
        assert self._views is not None
        payload = self._views.payload(pipeline_id)
        if payload is not None:
            self._send_status(subscriber, payload, more)

    def _send_status(self, subscriber: Subscriber, payload: str, more: str) -> None:
        subscriber.greeted = True
        # One that is cut off before it has every pipeline's state has to start afresh.
        whole_picture = not subscriber.awaited or subscriber.sid not in self._joining
        offset = offset_of(self.tail.identity, self.tail.newest) if whole_picture else NOWHERE
        whole = with_offset(payload, offset, more)
        self._send(subscriber, packet_for(subscriber.channel, events.STATUS, whole, offset))

    def _knows(self, subscriber: Subscriber) -> bool:
        return subscriber.sid in self._joining or subscriber.sid in self._settled[subscriber.channel]

    def _settle(self, subscriber: Subscriber) -> None:
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
        for namespace in self._views.namespaces(pipeline_id):
            for channel in CHANNELS[namespace]:
                for subscriber in list(self._settled[channel].values()):
                    self._send_view(subscriber, pipeline_id, more)

    def _begin_journal(self, item: NewJournal) -> None:
        self._send_pending()
        behind = self._replays.subscribers()
        for subscriber in behind:
            self._replays.discard(subscriber.sid)
        self.tail.begin(item.lineage, item.newest)
        if self._views is not None and item.entries is not None:
            self._views.begin(item.entries)
            for pipeline_id in self._views.ids():
                self._send_view_to_all(pipeline_id, GAP)
        for subscriber in behind:
            self._greet(subscriber)


def _answer(subscriber: Subscriber) -> str:
    """Return the member of the statuses that answer a client which came back: whether it has all that it missed."""
    return "" if subscriber.recovered is None else f'"recovered":{json.dumps(subscriber.recovered)},'


def _nobody_yet(namespace: str) -> Event:
    """Return the state shown in a namespace that has no pipeline: of its type, with nothing known."""
    kind = events.type_of(namespace)
    now = Moment(time.time(), time.monotonic())
    body = PipelineState("", kind, "", now).body(now)._replace(pipeline_id=None, epoch=None, started_at=None)
    return Event(events.STATUS, (namespace,), None, kind, None, 0, now.wall, body, numbered=False)
