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

from rag_pipeline import events
from rag_pipeline.events import Event
from rag_pipeline.fanout.encoding import Packet, batch, encode
from rag_pipeline.fanout.handover import Handover
from rag_pipeline.fanout.subscriber import Subscriber
from rag_pipeline.status import FlushRequest, PipelineStatus
from rag_pipeline.status.model import StateBody, Totals

logger = logging.getLogger("rag_pipeline.fanout")

MAX_BATCH_BYTES = 1 << 16
MAX_ITEMS_A_TURN = 1000


class Join(NamedTuple):
    """A newcomer: gets the snapshots, then everything newer."""

    subscriber: Subscriber


class Settle(NamedTuple):
    """Marks the point in the queue from which on a newcomer sees every event."""

    subscriber: Subscriber


class Call(NamedTuple):
    """Work for the hub's thread."""

    function: Callable[[], None]


Item = Event | FlushRequest | Join | Settle | Call


class Hub:
    """Fans events out; every method but :meth:`call` belongs to the thread that drains."""

    def __init__(self, pipelines: Callable[[], Iterable[PipelineStatus]], handover: Handover[Item]) -> None:
        self._pipelines = pipelines
        self._handover = handover
        self._settled: dict[str, dict[str, Subscriber]] = {ns: {} for ns in events.NAMESPACES}
        self._joining: dict[str, Subscriber] = {}
        self._pending: dict[str, list[Packet]] = {}
        self._pending_bytes = 0
        self._timers: list[tuple[float, int, FlushRequest]] = []
        self._order = itertools.count()
        self.events_sent = 0

    # -- subscribers -----------------------------------------------------------------------------------------------

    def join(self, subscriber: Subscriber) -> None:
        """Take a newcomer in at its place in the order of events."""
        self._joining[subscriber.sid] = subscriber
        self._handover.publish(Join(subscriber))

    def leave(self, sid: str, namespace: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        self._settled[namespace].pop(sid, None)
        self._joining.pop(sid, None)

    def clients(self) -> dict[str, int]:
        """Return the number of subscribers by namespace, and of connections as ``total``."""
        everyone = list(self._everyone())
        counts = dict.fromkeys(events.NAMESPACES, 0)
        for subscriber in everyone:
            counts[subscriber.namespace] += 1
        return {"total": len({s.client for s in everyone}), **counts}

    def disconnect_all(self, reason: str) -> None:
        """End every connection."""
        for subscriber in list(self._everyone()):
            self._end(subscriber, reason)

    def call(self, function: Callable[[], None]) -> None:
        """Run the function on the hub's thread, after what was published before; callable from any thread."""
        self._handover.publish(Call(function))

    def _everyone(self) -> Iterable[Subscriber]:
        yield from itertools.chain.from_iterable(s.values() for s in self._settled.values())
        yield from self._joining.values()

    # -- the loop's turn -------------------------------------------------------------------------------------------

    def drain(self) -> float | None:
        """Send what is there; return the seconds until the next call, None if only the hand-over says when.

        One call handles a bounded number of items, so that the loop gets to accept and read in between.
        """
        self._handover.rearm()
        if self._handover.overflowed:
            self._handover.overflowed = False
            self.disconnect_all("the service fell too far behind the pipeline")
        for _ in range(MAX_ITEMS_A_TURN):
            item = self._handover.take()
            if item is None:
                break
            self._handle(item)
        self._send_pending()
        self._run_timers()
        if len(self._handover):
            return 0.0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _handle(self, item: Item) -> None:
        if isinstance(item, Event):
            self._route(item)
        elif isinstance(item, FlushRequest):
            heapq.heappush(self._timers, (item.due, next(self._order), item))
        elif isinstance(item, Join):
            self._welcome(item.subscriber)
        elif isinstance(item, Settle):
            self._settle(item.subscriber)
        else:
            self._send_pending()
            try:
                item.function()
            except Exception:
                logger.exception("a call on the hub failed")

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].pipeline.flush()

    # -- events ----------------------------------------------------------------------------------------------------

    def _route(self, event: Event) -> None:
        wanted = [ns for ns in event.namespaces if self._settled[ns]]
        if not wanted and not self._joining:
            return
        packets = encode(event, event.namespaces if self._joining else wanted)
        for namespace in wanted:
            packet = packets[namespace]
            self._pending.setdefault(namespace, []).append(packet)
            self._pending_bytes += len(packet.frame)
        for subscriber in list(self._joining.values()):  # one that fails is dropped on the way
            since = subscriber.since
            if since is None or subscriber.namespace not in packets:
                continue  # its snapshots come later in the queue and will show this event's change
            if event.seq > since.get((event.pipeline_id, event.epoch), -1):
                self._send(subscriber, [packets[subscriber.namespace]])
        if self._pending_bytes >= MAX_BATCH_BYTES:
            self._send_pending()

    def _send_pending(self) -> None:
        pending, self._pending, self._pending_bytes = self._pending, {}, 0
        for namespace, packets in pending.items():
            joined = batch(packets)
            subscribers = self._settled[namespace]
            self.events_sent += len(packets) * len(subscribers)
            for subscriber in list(subscribers.values()):
                try:
                    subscriber.outlet.send(joined)
                except Exception:  # noqa: BLE001 - one bad receiver never stops the others
                    self._drop(subscriber)

    def _send(self, subscriber: Subscriber, packets: list[Packet]) -> None:
        self.events_sent += len(packets)
        try:
            subscriber.outlet.send(batch(packets))
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
        since: dict[tuple[str | None, str | None], int] = {}
        packets = []
        for pipeline in self._pipelines():
            snapshot = pipeline.status_event()
            if subscriber.namespace in snapshot.namespaces:
                since[snapshot.pipeline_id, snapshot.epoch] = snapshot.seq
                packets.append(encode(snapshot)[subscriber.namespace])
        subscriber.since = since
        self._send(subscriber, packets or [_nobody_yet(subscriber.namespace)])
        # What is queued now may be older than these snapshots; what comes behind this mark is newer.
        self._handover.publish(Settle(subscriber))

    def _settle(self, subscriber: Subscriber) -> None:
        if self._joining.pop(subscriber.sid, None) is None:
            return
        self._send_pending()  # to those who were there before
        subscriber.since = None
        self._settled[subscriber.namespace][subscriber.sid] = subscriber


def _nobody_yet(namespace: str) -> Packet:
    """Return the state shown in a namespace that has no pipeline: of its type, with nothing known."""
    now = time.time()
    kind = events.type_of(namespace)
    body = StateBody(
        pipeline_id=None,
        pipeline_type=kind,
        status="initializing",
        epoch=None,
        seq=0,
        started_at=None,
        last_activity=None,
        last_check_time=None,
        next_check_time=None,
        check_interval=None,
        is_checking=False,
        files_in_flight=0,
        files_processing=(),
        files_completed=(),
        files_failed=(),
        files_skipped=(),
        totals=Totals(),
        files_queued=None,
        files_per_minute=None,
        eta_seconds=None,
        own={},
    )
    return encode(Event(events.STATUS, (namespace,), None, kind, None, 0, now, body))[namespace]
