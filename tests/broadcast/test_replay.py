"""Replay sends every missed event once and in order, however a client returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.broadcast import Form, Hub, HubItem, NewJournal, PacketBatch, Subscriber
from rag_pipeline.broadcast.pages import Fetch
from rag_pipeline.broadcast.replay import CHUNK_EVENTS
from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract import events
from rag_pipeline.journal import Entry, Generations, Tail, offset_of
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.broadcast.decoding import Received
from tests.broadcast.outlets import RecordingOutlet
from tests.support.state_client import without_volatile

IDENTITY = "0123456789abcdef"
Done = Callable[[list[Entry] | None, int], None]


class SlowOutlet(RecordingOutlet):
    """An outlet whose client reads only when the test says so."""

    takes_all = False

    def send(self, batch: PacketBatch) -> None:
        super().send(batch)
        self.backlog_bytes += 0 if self.takes_all else len(batch.wire)


class Setup:
    """A hub with a tail of a given length over one pipeline, drained by the test."""

    def __init__(self, tail: int = 10_000, fetch: Fetch | None = None, floor: int = 0, limit: int = 1 << 20) -> None:
        self.pipeline = PipelineStatus("local_files", "replayed")
        self.mailbox: Mailbox[HubItem] = Mailbox()
        self.tail = Tail(Generations(IDENTITY), limit=tail)
        self.everything: list[Entry] = []
        self.hub = Hub(
            lambda: [core_of(self.pipeline)],
            self.mailbox,
            self.tail,
            fetch=fetch or (self.fetch if tail < 10_000 else None),
            reaches=lambda position: floor <= position <= self.tail.newest,
            backlog_limit_bytes=limit,
        )
        keep = self.tail.keep
        self.tail.keep = lambda entry: (self.everything.append(entry), keep(entry))[1]  # type: ignore[method-assign,func-returns-value]
        self.asked: list[tuple[int, Done]] = []
        core_of(self.pipeline).attach(self.mailbox)
        self.joined = 0

    def fetch(self, position: int, _namespace: str, done: Done) -> None:
        self.asked.append((position, done))

    def answer(self, limit: int = 100) -> None:
        """Do the store reader's work: read, and call back on the hub."""
        asked, self.asked = self.asked, []
        for position, done in asked:
            found = [entry for entry in self.everything if entry.position > position][:limit]
            end = found[-1].position if len(found) == limit else self.tail.newest
            self.hub.call(lambda done=done, found=found, end=end: done(found, end))  # type: ignore[misc]

    def join(
        self,
        offset: str | None = None,
        outlet: RecordingOutlet | None = None,
        namespace: str = events.NS_PIPELINE,
        form: Form = Form.PLAIN,
    ) -> tuple[Subscriber, RecordingOutlet]:
        self.joined += 1
        outlet = outlet or RecordingOutlet()
        subscriber = Subscriber(f"s{self.joined}", "c", namespace, outlet, form=form, offset=offset)
        self.hub.join(subscriber)
        return subscriber, outlet

    def settle(self) -> None:
        for _ in range(1000):
            wait = self.hub.drain()
            if self.asked:
                self.answer()
            elif wait != 0.0 and not len(self.hub._newcomers.replays):
                return
        raise AssertionError("it never settles")

    def run(self, count: int) -> None:
        for n in range(count):
            self.pipeline.add_processing_file(f"f{n}")
            self.pipeline.complete_file(f"f{n}")
        core_of(self.pipeline).flush(everything=True)  # otherwise the status after it comes later
        self.settle()

    def close(self) -> None:
        self.pipeline.close()
        self.mailbox.close()


def numbered(received: list[Received]) -> list[int]:
    return [body["seq"] for _, name, body in received if name != events.STATUS]


def last(received: list[Received]) -> dict[str, Any]:
    return received[-1][2]


def test_a_returning_client_gets_the_missed_events_then_the_state() -> None:
    setup = Setup()
    subscriber, outlet = setup.join()
    setup.settle()
    setup.run(5)
    setup.hub.leave(subscriber.sid, subscriber.namespace)
    offset = last(outlet.received)["offset"]
    before = len(numbered(outlet.received))
    setup.run(100)
    _, again = setup.join(offset)
    setup.settle()
    assert numbered(outlet.received)[:before] + numbered(again.received) == list(range(1, 211))
    (state,) = [body for _, _, body in again.received if body.get("recovered")]
    assert without_volatile(
        {k: v for k, v in state.items() if k not in ("timestamp", "offset", "recovered")}
    ) == without_volatile(setup.pipeline.get())
    setup.run(1)
    assert numbered(again.received)[-2:] == [211, 212]
    setup.close()


@pytest.mark.parametrize("tail", [10_000, 50])
def test_of_missed_statuses_only_the_newest_is_replayed(tail: int) -> None:
    setup = Setup(tail=tail)
    _, outlet = setup.join()
    setup.settle()
    offset = last(outlet.received)["offset"]
    for n in range(500):
        setup.pipeline.update(own={"n": n})
        if n % 100 == 0:
            setup.pipeline.skip_file(f"f{n}", "no text")
    setup.settle()
    _, again = setup.join(offset)
    setup.settle()
    replayed = [(name, body["seq"]) for _, name, body in again.received if "recovered" not in body]
    statuses = [seq for name, seq in replayed if name == events.STATUS]
    assert numbered(again.received) == [2, 103, 204, 305, 406]
    assert statuses[-1] == setup.pipeline.get()["seq"] == 505
    assert set(statuses) == {505}
    assert [seq for _, seq in replayed] == sorted(seq for _, seq in replayed)
    setup.close()


def test_a_client_that_missed_nothing_gets_only_the_state() -> None:
    setup = Setup()
    _, outlet = setup.join()
    setup.run(3)
    _, again = setup.join(last(outlet.received)["offset"])
    setup.settle()
    assert [(name, body["recovered"]) for _, name, body in again.received] == [(events.STATUS, True)]
    setup.close()


@pytest.mark.parametrize("offset", ["", "nonsense", f"{IDENTITY}-ffff", "fedcba9876543210-1", f"{IDENTITY}-", "😀"])
def test_an_offset_of_another_journal_leads_to_the_snapshot(offset: str) -> None:
    setup = Setup()
    setup.run(3)
    _, outlet = setup.join(offset)
    setup.settle()
    assert [(name, body["recovered"], body["seq"]) for _, name, body in outlet.received] == [(events.STATUS, False, 6)]
    assert not setup.hub.can_resume(offset)
    setup.close()


def test_an_offset_of_a_former_generation_is_resumed_from_while_it_is_valid() -> None:
    setup = Setup()
    setup.run(3)
    setup.tail.begin_generation(Generations(IDENTITY, {"fedcba9876543210": 4}))
    _, kept = setup.join(offset_of("fedcba9876543210", 4))
    _, lost = setup.join(offset_of("fedcba9876543210", 5))
    setup.settle()
    assert (numbered(kept.received), last(kept.received)["recovered"]) == ([5, 6], True)
    assert (numbered(lost.received), last(lost.received)["recovered"]) == ([], False)
    setup.close()


def test_a_newcomers_states_say_nothing_about_recovery() -> None:
    setup = Setup()
    _, outlet = setup.join()
    setup.settle()
    assert "recovered" not in last(outlet.received)
    setup.close()


def test_an_offset_that_is_too_old_leads_to_the_snapshot() -> None:
    setup = Setup(tail=10, floor=50)
    setup.run(50)
    _, outlet = setup.join(offset_of(IDENTITY, 49))
    setup.settle()
    assert [body["recovered"] for _, _, body in outlet.received] == [False]
    _, outlet = setup.join(offset_of(IDENTITY, 50))
    setup.settle()
    assert (numbered(outlet.received), last(outlet.received)["recovered"]) == (list(range(51, 101)), True)
    setup.close()


def test_events_missing_from_the_store_lead_to_the_snapshot() -> None:
    setup = Setup(tail=10, fetch=lambda position, _, done: done(None, position))
    setup.run(50)
    _, outlet = setup.join(offset_of(IDENTITY, 3))
    setup.settle()
    assert [body["recovered"] for _, _, body in outlet.received] == [False]
    setup.run(1)
    assert numbered(outlet.received) == [101, 102]
    setup.close()


def test_a_slow_client_is_sent_no_more_than_it_takes_and_loses_nothing() -> None:
    setup = Setup(limit=1 << 16)
    for n in range(200):
        setup.pipeline.skip_file(f"{n}-{'x' * 2900}", "no text")
    setup.settle()
    outlet = SlowOutlet()
    setup.join(offset_of(IDENTITY, 0), outlet)
    for _ in range(2000):
        setup.hub.drain()
        assert outlet.backlog_bytes < 1 << 15, "half of the bound that would end it"
        outlet.backlog_bytes = 0
        if last(outlet.received).get("recovered") if outlet.received else False:
            break
        setup.pipeline.skip_file("more", "no text") if outlet.received and len(outlet.received) < 20 else None
    seqs = numbered(outlet.received)
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 200
    setup.close()


def test_a_client_can_leave_during_its_replay() -> None:
    setup = Setup()
    setup.run(1000)
    subscriber, outlet = setup.join(offset_of(IDENTITY, 0), SlowOutlet())
    setup.hub.drain()
    got = len(outlet.received)
    assert 0 < got < 2000
    assert setup.hub.clients()["total"] == 1
    setup.hub.leave(subscriber.sid, subscriber.namespace)
    outlet.backlog_bytes = 0
    setup.settle()
    assert len(outlet.received) == got
    assert setup.hub.clients()["total"] == 0
    setup.close()


@pytest.mark.slow
def test_a_client_that_fails_during_its_replay_does_not_affect_the_others(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup()
    setup.run(500)
    _, bad = setup.join(offset_of(IDENTITY, 0), RecordingOutlet(works=2))
    _, good = setup.join(offset_of(IDENTITY, 0))
    setup.settle()
    assert numbered(good.received) == list(range(1, 1001))
    assert bad.reasons == ["writing to it failed"]
    setup.close()


def test_a_resumable_client_gets_the_offset_as_an_argument() -> None:
    setup = Setup()

    class Texts(RecordingOutlet):
        def send(self, batch: PacketBatch) -> None:
            texts.extend(packet.text for packet in batch.packets)

    texts: list[str] = []
    setup.run(2)
    setup.join(offset_of(IDENTITY, 2), Texts(), form=Form.RESUMABLE)
    setup.settle()
    setup.run(1)
    assert [text.rpartition(",")[2] for text in texts if "file_" in text[:40]] == [
        f'"{offset_of(IDENTITY, n)}"]' for n in (3, 4, 5, 6)
    ]
    setup.close()


def test_a_namespace_is_replayed_only_its_own_events() -> None:
    setup = Setup()
    setup.run(CHUNK_EVENTS)
    _, outlet = setup.join(offset_of(IDENTITY, 0), namespace=events.NS_GOOGLE_DRIVE)
    setup.settle()
    assert [(name, body["pipeline_id"], body["recovered"]) for _, name, body in outlet.received] == [
        (events.STATUS, None, True)
    ]
    setup.close()


def test_after_a_store_failure_its_offsets_can_not_be_resumed_from() -> None:
    setup = Setup()
    setup.run(1000)
    _, behind = setup.join(offset_of(IDENTITY, 0), SlowOutlet())
    setup.hub.drain()
    setup.mailbox.publish(NewJournal(Generations("fedcba9876543210")))
    assert isinstance(behind, SlowOutlet)
    behind.takes_all = True
    behind.backlog_bytes = 0
    setup.settle()
    assert [body["recovered"] for _, _, body in behind.received if "recovered" in body] == [False]
    setup.run(1)
    assert last(behind.received)["offset"].startswith("fedcba9876543210-")
    _, outlet = setup.join(offset_of(IDENTITY, 5))
    setup.settle()
    assert last(outlet.received)["recovered"] is False
    _, outlet = setup.join(offset_of("fedcba9876543210", 1))
    setup.settle()
    assert (numbered(outlet.received), last(outlet.received)["recovered"]) == ([2002], True)
    setup.close()


def test_a_newcomer_goes_live_once_it_has_taken_every_state() -> None:
    setup = Setup()
    setup.run(3)
    _, slow = setup.join(None, SlowOutlet())
    for _ in range(20):
        setup.hub.drain()
    assert slow.received
    assert len(setup.hub._newcomers.replays) == 1, "live events would count against its bound"
    slow.backlog_bytes = 0
    for _ in range(20):
        setup.hub.drain()
    assert len(setup.hub._newcomers.replays) == 0
    setup.close()


STEP = st.sampled_from(["start", "end", "update", "drain", "drain", "leave", "come back", "answer"])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60), st.sampled_from([10_000, 7]))
def test_a_client_that_comes_and_goes_sees_every_event_once(steps: list[str], tail: int) -> None:
    setup = Setup(tail=tail)
    subscriber: Subscriber | None
    subscriber, outlet = setup.join()
    setup.settle()
    seen: list[Received] = []
    made: list[int] = []
    for n, step in enumerate(steps):
        if step in ("start", "end"):
            made.append(setup.pipeline.get()["seq"] + 1)
        if step == "start":
            setup.pipeline.add_processing_file(f"f{n}")
        elif step == "end":
            setup.pipeline.complete_file(f"f{n}")
        elif step == "update":
            setup.pipeline.update(own={"n": n})
        elif step == "drain":
            setup.hub.drain()
        elif step == "answer":
            setup.answer(limit=3)
        elif step == "leave" and subscriber is not None:
            setup.hub.leave(subscriber.sid, subscriber.namespace)
            subscriber = None
            seen += outlet.received
        elif step == "come back" and subscriber is None:
            subscriber, outlet = setup.join(last(seen)["offset"])
    if subscriber is None:
        _, outlet = setup.join(last(seen)["offset"])
    setup.settle()
    seen += outlet.received
    seqs = [body["seq"] for _, _, body in seen]
    assert seqs == sorted(seqs)
    assert seqs[-1] == setup.pipeline.get()["seq"]
    # Superseded statuses are the only events left out.
    assert numbered(seen) == made
    assert all(body.get("recovered", True) for _, _, body in seen)
    setup.close()
