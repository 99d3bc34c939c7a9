"""Newcomers pass a snapshot round and a replay, and are then handed to the live set."""

from __future__ import annotations

import pytest

from rag_pipeline.broadcast.encoding import PacketBatch
from rag_pipeline.broadcast.newcomers import Newcomers
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.contract import events
from rag_pipeline.journal import Generations, Tail, offset_of
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import SnapshotFor
from tests.broadcast.outlets import RecordingOutlet
from tests.support.recorder import Recorder

IDENTITY = "0123456789abcdef"


class Setup:
    """Newcomers of a hub with one pipeline, whose state the test hands over."""

    def __init__(self) -> None:
        self.pipeline = PipelineStatus("local_files", "newcomers")
        self.recorder = Recorder()
        core_of(self.pipeline).attach(self.recorder)
        self.tail = Tail(Generations(IDENTITY))
        self.live: list[str] = []
        self.newcomers = Newcomers(
            lambda: [core_of(self.pipeline)],
            self.tail,
            sink=self.recorder,
            reaches=self.tail.reaches,
            fetch=None,
            remote_states=None,
            send=self.send,
            go_live=lambda subscriber: self.live.append(subscriber.sid),
            end=lambda subscriber, reason: subscriber.outlet.disconnect(reason),
            backlog_limit_bytes=1 << 20,
        )

    def send(self, subscriber: Subscriber, batch: PacketBatch) -> None:
        subscriber.outlet.send(batch)

    def join(self, sid: str, offset: str | None = None) -> RecordingOutlet:
        outlet = RecordingOutlet()
        subscriber = Subscriber(sid, sid, events.NS_PIPELINE, outlet, offset=offset)
        self.newcomers.expect(subscriber)
        self.newcomers.welcome(subscriber)
        return outlet

    def deliver_states(self) -> None:
        for item in self.recorder.items:
            if isinstance(item, SnapshotFor):
                self.newcomers.rounds.take(item.receiver, item.event)
        self.recorder.items.clear()


def test_a_newcomer_goes_live_after_the_states() -> None:
    setup = Setup()
    outlet = setup.join("a")
    assert [subscriber.sid for subscriber in setup.newcomers.subscribers()] == ["a"]
    assert setup.newcomers.turn() is None
    setup.deliver_states()
    setup.newcomers.turn()
    assert [name for _, name, _ in outlet.received] == [events.STATUS]
    assert setup.live == ["a"]
    assert list(setup.newcomers.subscribers()) == []


def test_a_returning_client_gets_the_missed_events_before_the_states() -> None:
    setup = Setup()
    setup.pipeline.add_processing_file("a.pdf")
    for event in setup.recorder.changes:
        setup.tail.number(event)
    setup.recorder.items.clear()
    outlet = setup.join("a", offset_of(IDENTITY, 0))
    setup.newcomers.turn()
    setup.deliver_states()
    setup.newcomers.turn()
    assert [(name, body.get("recovered")) for _, name, body in outlet.received] == [
        (events.FILE_STARTED, None),
        (events.STATUS, True),
    ]
    assert setup.live == ["a"]


def test_a_client_that_left_before_its_welcome_is_ignored() -> None:
    setup = Setup()
    subscriber = Subscriber("a", "a", events.NS_PIPELINE, RecordingOutlet())
    setup.newcomers.expect(subscriber)
    setup.newcomers.discard("a")
    setup.newcomers.welcome(subscriber)
    assert list(setup.newcomers.subscribers()) == []


@pytest.mark.parametrize(
    ("offset", "position"),
    [(offset_of(IDENTITY, 0), 0), (offset_of(IDENTITY, 9), None), ("ffffffffffffffff-1", None), (None, None)],
)
def test_only_an_offset_within_the_journal_can_be_resumed_from(offset: str | None, position: int | None) -> None:
    assert Setup().newcomers.resume_position(offset) == position


def test_clients_of_an_aborted_journal_start_over() -> None:
    setup = Setup()
    setup.join("a")
    (subscriber,) = setup.newcomers.abort()
    setup.newcomers.start_over(subscriber)
    assert list(setup.newcomers.subscribers()) == [subscriber]
