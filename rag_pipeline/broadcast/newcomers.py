"""Newcomers: clients that have joined the hub and are not live yet.

::

    no offset, or one that can't be resumed from ──▶ snapshot round ──▶ replay of its script ──▶ live
    an offset ──▶ replay of the missed events ──▶ snapshot round ──▶ replay of its script ──▶ live

If the journal loses events that a replay still needs, the client starts again with a snapshot round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from rag_pipeline.broadcast.encoding import PacketBatch
from rag_pipeline.broadcast.pages import Fetch
from rag_pipeline.broadcast.remote_states import RemoteStates
from rag_pipeline.broadcast.replay import Replays
from rag_pipeline.broadcast.snapshots import SnapshotRound, SnapshotRounds
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.journal import Entry, Tail
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.sinks import Sink

logger = logging.getLogger("rag_pipeline.broadcast")


class Newcomers:
    """Take each newcomer from its join to the live set. Belongs to the hub's thread.

    ``send`` sends a chunk, ``go_live`` takes over a client that has caught up, ``end`` disconnects a client. ``sink``
    is where pipelines publish; with ``remote_states`` the states come from there instead of from ``pipelines``.
    """

    def __init__(
        self,
        pipelines: Callable[[], Iterable[StatusCore]],
        tail: Tail,
        *,
        sink: Sink,
        reaches: Callable[[int], bool],
        fetch: Fetch | None,
        remote_states: RemoteStates | None,
        send: Callable[[Subscriber, PacketBatch], None],
        go_live: Callable[[Subscriber], None],
        end: Callable[[Subscriber, str], None],
        backlog_limit_bytes: int,
    ) -> None:
        self._pipelines = pipelines
        self._tail = tail
        self._sink = sink
        self._reaches = reaches
        self._remote_states = remote_states
        self._joining: dict[str, Subscriber] = {}
        self.replays = Replays(
            send,
            caught_up=go_live,
            ask_states=self._confirm,
            lost=self.start_over,
            failed=lambda subscriber: end(subscriber, "it could not be caught up"),
            fetch=fetch,
            backlog_limit_bytes=backlog_limit_bytes,
        )
        self.rounds = SnapshotRounds(self._request_states, self.replays.greet, tail)

    def expect(self, subscriber: Subscriber) -> None:
        """Register a client whose turn to be welcomed comes later."""
        self._joining[subscriber.sid] = subscriber

    def welcome(self, subscriber: Subscriber) -> None:
        """Start sending to a client that was expected; ignore it if it has left meanwhile."""
        if self._joining.pop(subscriber.sid, None) is None:
            return
        position = self.resume_position(subscriber.offset)
        if position is None:
            self.rounds.add(subscriber)
        else:
            self.replays.add(subscriber, position, self._tail.newest)

    def resume_position(self, offset: object) -> int | None:
        """Return the position to resume from; None if the offset is of another journal or too old."""
        position = self._tail.generations.position_of(offset)
        return position if position is not None and self._reaches(position) else None

    def discard(self, sid: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        self._joining.pop(sid, None)
        self.rounds.discard(sid)
        self.replays.discard(sid)

    def subscribers(self) -> Iterable[Subscriber]:
        """Yield every newcomer."""
        yield from self._joining.values()
        yield from self.rounds.subscribers()
        yield from self.replays.subscribers()

    def turn(self) -> float | None:
        """Send what the replays can send now; return the seconds until the next turn, None without replays."""
        wait = self.replays.turn(self._tail) if self.replays else None
        self.rounds.end_turn()
        return wait

    def abort(self) -> list[Subscriber]:
        """Abort every replay and snapshot round; return the clients to be started over."""
        return [*self.replays.abort(), *self.rounds.abort()]

    def start_over(self, subscriber: Subscriber) -> None:
        """Send a client the states again: events that it has not received are gone."""
        if subscriber.recovered is not None:
            subscriber.recovered = False
        subscriber.misses_events = subscriber.greeted
        self.rounds.add(subscriber)

    def _confirm(self, subscriber: Subscriber) -> None:
        """Send a client that has resumed the current states, so that it can check its own."""
        subscriber.recovered = True
        self.rounds.add(subscriber)

    def _request_states(self, receiver: SnapshotRound) -> list[str]:
        """Have each pipeline publish its state among its events; return the ids of those that will."""
        if self._remote_states is None:
            requested = [self._request_state(pipeline, receiver) for pipeline in self._pipelines()]
            return [pipeline_id for pipeline_id in requested if pipeline_id is not None]
        for pipeline_id in self._remote_states.ids():
            if (event := self._remote_states.event(pipeline_id)) is not None:
                receiver.add_state(Entry(self._tail.newest, event))
        return []

    def _request_state(self, pipeline: StatusCore, receiver: SnapshotRound) -> str | None:
        try:
            return pipeline.show_to(self._sink, receiver)
        except Exception:
            logger.exception("the state of %s can't be shown", pipeline.pipeline_id)
            return None
