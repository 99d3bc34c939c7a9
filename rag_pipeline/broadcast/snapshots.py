"""Snapshot rounds: gather the states of all pipelines once, for every client that needs them at that moment.

A pipeline publishes its state into the queue of its own events, so the state reaches the hub at its place in their
order. With the last state the round is complete. Its script is then sent to each receiver at the receiver's own pace:
the states, and between them the events that passed meanwhile. After the script a receiver reads the journal's tail from
the position where the round ended, so no event is missed or repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NO_RESUME_OFFSET, PipelineEvent
from rag_pipeline.journal import Entry, Tail, offset_of
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.state import PipelineState

TEXT_SECONDS = 2.0
"""Seconds for which the encoded states of a round are kept; for slower readers they are encoded again."""


class ScriptStep(NamedTuple):
    """One event of a script; ``offset`` is sent with it."""

    entry: Entry
    offset: str
    is_state: bool


class _PassedEvent(NamedTuple):
    """An event that passed during the round; ``was_awaited`` tells whether its pipeline's state was still missing."""

    entry: Entry
    is_state: bool
    was_awaited: bool


class SnapshotRound:
    """One gathering of states. It ends at the journal position ``end``, and at ``clock`` of the journal's tail."""

    def __init__(self, tail: Tail) -> None:
        self.identity = tail.identity
        self.start_clock = tail.clock
        self.clock = tail.clock
        self.end = tail.newest
        self.awaited: set[str] = set()
        self.receivers: dict[str, Subscriber] = {}
        self._passed: list[_PassedEvent] = []
        self._scripts: dict[tuple[str, bool], list[ScriptStep]] = {}
        self._completed_at = 0.0

    @property
    def is_untouched(self) -> bool:
        """Whether no event has passed since the round began."""
        return not self._passed

    def add_state(self, entry: Entry) -> None:
        """Add a pipeline's state, at its place among the events."""
        self._passed.append(_PassedEvent(entry, is_state=True, was_awaited=False))
        self.awaited.discard(entry.event.pipeline_id or "")

    def add_event(self, entry: Entry) -> None:
        """Add an event that passes; an awaited state will include its change."""
        awaited = entry.event.pipeline_id in self.awaited
        self._passed.append(_PassedEvent(entry, is_state=False, was_awaited=awaited))

    def complete(self, tail: Tail) -> None:
        """End the round here."""
        self.end, self.clock = tail.newest, tail.clock
        self._completed_at = time.monotonic()

    def script(self, namespace: str, *, resumed: bool) -> list[ScriptStep]:
        """Return what to send in a namespace.

        A resumed client gets every numbered event beside the states; a newcomer gets the events that are newer than
        their pipeline's state. Until the initial snapshot is complete, events carry an offset that can't be resumed
        from.
        """
        steps = self._scripts.get((namespace, resumed))
        if steps is None:
            steps = self._scripts[namespace, resumed] = self._steps(namespace, resumed)
        return steps

    def _steps(self, namespace: str, resumed: bool) -> list[ScriptStep]:
        passed = [item for item in self._passed if namespace in item.entry.event.namespaces]
        if resumed:
            passed = [item for item in passed if item.is_state or item.entry.event.numbered]
        else:
            passed = [item for item in passed if item.is_state or not item.was_awaited]
        last_state = max((index for index, item in enumerate(passed) if item.is_state), default=-1)
        if last_state < 0:
            passed.insert(0, _PassedEvent(Entry(self.end, _empty_state(namespace)), is_state=True, was_awaited=False))
            last_state = 0
        return [
            ScriptStep(item.entry, self._offset(item.entry, can_resume=resumed or index >= last_state), item.is_state)
            for index, item in enumerate(passed)
        ]

    def _offset(self, entry: Entry, *, can_resume: bool) -> str:
        return offset_of(self.identity, entry.position) if can_resume else NO_RESUME_OFFSET

    def forget_texts(self) -> None:
        """Drop the encoded states once clients that keep up have them: a slow client must not hold megabytes."""
        if self._completed_at and time.monotonic() > self._completed_at + TEXT_SECONDS:
            self._completed_at = 0.0
            for item in self._passed:
                if item.is_state:
                    item.entry.forget_text()


class SnapshotRounds:
    """The rounds that are ``open``. Belongs to the hub's thread.

    ``ask`` has each pipeline publish its state for a round and returns their ids; or it adds the states at once and
    returns no id. ``ready`` takes over a receiver whose round is complete.
    """

    def __init__(
        self,
        ask: Callable[[SnapshotRound], Iterable[str]],
        ready: Callable[[Subscriber, SnapshotRound], None],
        tail: Tail,
    ) -> None:
        self.open: list[SnapshotRound] = []
        self._ask = ask
        self._ready = ready
        self._tail = tail
        self._last: SnapshotRound | None = None

    def add(self, subscriber: Subscriber) -> None:
        """Add a receiver to the current round, or begin one. A resumed client has read everything up to here."""
        if self._last is not None and self._is_current(self._last):
            self._ready(subscriber, self._last)
            return
        current = next((round_ for round_ in self.open if self._is_current(round_)), None)
        if current is not None:
            current.receivers[subscriber.sid] = subscriber
            return
        round_ = SnapshotRound(self._tail)
        round_.receivers[subscriber.sid] = subscriber
        self.open.append(round_)
        round_.awaited.update(self._ask(round_))
        self._finish(round_)

    def _is_current(self, round_: SnapshotRound) -> bool:
        if round_.identity != self._tail.identity or round_.start_clock != self._tail.clock:
            return False
        return round_.is_untouched or round_ is self._last

    def end_turn(self) -> None:
        """Forget the round that was complete at once: it serves only clients that come in the same turn."""
        self._last = None

    def record(self, entry: Entry) -> None:
        """Add an event that passes to every open round."""
        for round_ in self.open:
            round_.add_event(entry)

    def take(self, receiver: object, event: PipelineEvent) -> None:
        """Take a state that a pipeline has published for a round."""
        if isinstance(receiver, SnapshotRound) and receiver in self.open and event.pipeline_id in receiver.awaited:
            receiver.add_state(Entry(self._tail.newest, event))
            self._finish(receiver)

    def give_up(self, receiver: object, pipeline_id: str | None) -> None:
        """Stop waiting for a pipeline's state: it can't be shown."""
        if isinstance(receiver, SnapshotRound) and pipeline_id in receiver.awaited:
            receiver.awaited.discard(pipeline_id or "")
            self._finish(receiver)

    def discard(self, sid: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        for round_ in self.open:
            round_.receivers.pop(sid, None)

    def subscribers(self) -> list[Subscriber]:
        """Return the receivers of all open rounds."""
        return [subscriber for round_ in self.open for subscriber in round_.receivers.values()]

    def abort(self) -> list[Subscriber]:
        """End all rounds without a result; return their receivers."""
        waiting = self.subscribers()
        self.open.clear()
        self._last = None
        return waiting

    def _finish(self, round_: SnapshotRound) -> None:
        if round_.awaited or round_ not in self.open:
            return
        self.open.remove(round_)
        round_.complete(self._tail)
        if round_.start_clock == self._tail.clock:
            self._last = round_
        receivers, round_.receivers = round_.receivers, {}
        for subscriber in receivers.values():
            self._ready(subscriber, round_)


def _empty_state(namespace: str) -> PipelineEvent:
    """Return the state shown in a namespace that has no pipeline: its type, and null for the rest."""
    kind = events.type_of(namespace)
    now = Moment(time.time(), time.monotonic())
    body = PipelineState("", kind, "", now).body(now)._replace(pipeline_id=None, epoch=None, started_at=None)
    return PipelineEvent(events.STATUS, (namespace,), None, kind, None, 0, now.wall, body, numbered=False)
