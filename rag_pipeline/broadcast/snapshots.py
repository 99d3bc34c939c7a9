"""Snapshots: the states of all pipelines, gathered once for all who need them at that moment.

A pipeline puts its state into the queue of its own events, so it comes to the hub at its place in their order. With the
last one the round is complete, and its script is what each of its receivers is sent, at its own pace: the states, and
between them the events that passed meanwhile. After the script a receiver reads the tail of the journal from where the
round ended, so nothing is missed or repeated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NOWHERE, Event
from rag_pipeline.journal import Entry, Tail, offset_of
from rag_pipeline.status.state import Moment, PipelineState

TEXT_SECONDS = 2.0
"""How long the texts of a round's states are kept; who reads more slowly has them made anew."""


class Step(NamedTuple):
    """One event of a script; ``offset`` is what the receiver gets with it."""

    entry: Entry
    offset: str
    is_state: bool


class _Seen(NamedTuple):
    """An event that passed while the round was open: was its pipeline's state still awaited?"""

    entry: Entry
    is_state: bool
    was_awaited: bool


class Round:
    """One gathering of the states; it ends at the position ``end`` of the journal, at ``clock`` of its tail."""

    def __init__(self, tail: Tail) -> None:
        self.identity = tail.identity
        self.start_clock = tail.clock
        self.clock = tail.clock
        self.end = tail.newest
        self.awaited: set[str] = set()
        self.receivers: dict[str, Subscriber] = {}
        self._seen: list[_Seen] = []
        self._scripts: dict[tuple[str, bool], list[Step]] = {}
        self._completed_at = 0.0

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has passed since it was asked for."""
        return not self._seen

    def add_state(self, entry: Entry) -> None:
        """Take a pipeline's state, at its place."""
        self._seen.append(_Seen(entry, is_state=True, was_awaited=False))
        self.awaited.discard(entry.event.pipeline_id or "")

    def add_event(self, entry: Entry) -> None:
        """Take an event that passes; the state that is awaited will show its change."""
        awaited = entry.event.pipeline_id in self.awaited
        self._seen.append(_Seen(entry, is_state=False, was_awaited=awaited))

    def complete(self, tail: Tail) -> None:
        """End it here."""
        self.end, self.clock = tail.newest, tail.clock
        self._completed_at = time.monotonic()

    def script(self, namespace: str, *, resumed: bool) -> list[Step]:
        """Return what is to be sent in a namespace.

        One that has resumed gets every numbered event beside the states; a newcomer those that are newer than the state
        of their pipeline. Until a newcomer has all states, what it gets can't be resumed from.
        """
        steps = self._scripts.get((namespace, resumed))
        if steps is None:
            steps = self._scripts[namespace, resumed] = self._steps(namespace, resumed)
        return steps

    def _steps(self, namespace: str, resumed: bool) -> list[Step]:
        seen = [one for one in self._seen if namespace in one.entry.event.namespaces]
        if resumed:
            seen = [one for one in seen if one.is_state or one.entry.event.numbered]
        else:
            seen = [one for one in seen if one.is_state or not one.was_awaited]
        last = max((place for place, one in enumerate(seen) if one.is_state), default=-1)
        if last < 0:
            seen.insert(0, _Seen(Entry(self.end, _nobody_yet(namespace)), is_state=True, was_awaited=False))
            last = 0
        return [
            Step(one.entry, self._offset(one.entry, known=resumed or place >= last), one.is_state)
            for place, one in enumerate(seen)
        ]

    def _offset(self, entry: Entry, *, known: bool) -> str:
        return offset_of(self.identity, entry.position) if known else NOWHERE

    def forget_texts(self) -> None:
        """Drop the texts of the states once all who keep up have them: a slow client must not hold megabytes."""
        if self._completed_at and time.monotonic() > self._completed_at + TEXT_SECONDS:
            self._completed_at = 0.0
            for one in self._seen:
                if one.is_state:
                    one.entry.forget_text()


class Snapshots:
    """The rounds that are open; belongs to the hub's thread.

    ``ask`` has each pipeline show its state to the round, and returns their ids; or adds the states at once, and
    returns none. ``ready`` takes a receiver whose round is complete.
    """

    def __init__(
        self, ask: Callable[[Round], Iterable[str]], ready: Callable[[Subscriber, Round], None], tail: Tail
    ) -> None:
        self._ask = ask
        self._ready = ready
        self._tail = tail
        self._open: list[Round] = []
        self._last: Round | None = None

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, subscriber: Subscriber) -> None:
        """Have the states gathered for a subscriber; one that resumes has read everything up to here."""
        if self._last is not None and self._is_current(self._last):
            self._ready(subscriber, self._last)
            return
        found = next((one for one in self._open if self._is_current(one)), None)
        if found is not None:
            found.receivers[subscriber.sid] = subscriber
            return
        one = Round(self._tail)
        one.receivers[subscriber.sid] = subscriber
        self._open.append(one)
        one.awaited.update(self._ask(one))
        self._finish(one)

    def _is_current(self, one: Round) -> bool:
        if one.identity != self._tail.identity or one.start_clock != self._tail.clock:
            return False
        return one.is_untouched or one is self._last

    def end_turn(self) -> None:
        """A round that was complete at once serves who comes in the same turn, and no longer."""
        self._last = None

    def record(self, entry: Entry) -> None:
        """Note an event that passes."""
        for one in self._open:
            one.add_event(entry)

    def take(self, receiver: object, event: Event) -> None:
        """Take a pipeline's state that was asked for."""
        if isinstance(receiver, Round) and receiver in self._open and event.pipeline_id in receiver.awaited:
            receiver.add_state(Entry(self._tail.newest, event))
            self._finish(receiver)

    def give_up(self, receiver: object, pipeline_id: str | None) -> None:
        """Wait no longer for a pipeline's state: it can't be shown."""
        if isinstance(receiver, Round) and pipeline_id in receiver.awaited:
            receiver.awaited.discard(pipeline_id or "")
            self._finish(receiver)

    def discard(self, sid: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        for one in self._open:
            one.receivers.pop(sid, None)

    def subscribers(self) -> list[Subscriber]:
        """Return those whose states are being gathered."""
        return [subscriber for one in self._open for subscriber in one.receivers.values()]

    def abort(self) -> list[Subscriber]:
        """End all rounds without a result; return who waited for one."""
        waiting = self.subscribers()
        self._open.clear()
        self._last = None
        return waiting

    def _finish(self, one: Round) -> None:
        if one.awaited or one not in self._open:
            return
        self._open.remove(one)
        one.complete(self._tail)
        if one.start_clock == self._tail.clock:
            self._last = one
        receivers, one.receivers = one.receivers, {}
        for subscriber in receivers.values():
            self._ready(subscriber, one)


def _nobody_yet(namespace: str) -> Event:
    """Return the state shown in a namespace that has no pipeline: of its type, with nothing known."""
    kind = events.type_of(namespace)
    now = Moment(time.time(), time.monotonic())
    body = PipelineState("", kind, "", now).body(now)._replace(pipeline_id=None, epoch=None, started_at=None)
    return Event(events.STATUS, (namespace,), None, kind, None, 0, now.wall, body, numbered=False)
