"""The writer: what is kept is passed on, in order; what can't be kept goes on all the same, and says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from rag_pipeline.contract.events import Event, Json
from rag_pipeline.journal import Entry
from rag_pipeline.journal.writer import MAX_BATCH, MAX_LEFT_OUT, JournalWriter
from rag_pipeline.status import FlushRequest, PipelineStatus, SnapshotFor, core_of
from tests.journal.stores import Gate, ScriptedStore
from tests.support.waiting import wait_until

Other = FlushRequest | SnapshotFor


class Setup:
    def __init__(self) -> None:
        self.store = ScriptedStore()
        self.pipeline = PipelineStatus("local_files", "written")
        self.delivered: list[Event | Entry | Other] = []
        self.told: list[str] = []
        self.writer: JournalWriter[Other] = JournalWriter(
            self.store,
            self.delivered.append,
            failed=lambda: self.told.append("failed"),
            pipelines=lambda: [core_of(self.pipeline)],
        )
        core_of(self.pipeline).attach(self.writer)
        self.writer.start()

    def entries(self) -> list[Entry]:
        return [item for item in self.delivered if isinstance(item, Entry)]

    def raw(self) -> list[Event]:
        return [item for item in self.delivered if isinstance(item, Event)]

    def close(self) -> None:
        self.pipeline.close()
        assert self.writer.stop()


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.close()


def test_events_are_passed_on_once_they_are_kept(setup: Setup) -> None:
    for n in range(50):
        setup.pipeline.update(own={"n": n})
    wait_until(lambda: setup.pipeline.get()["seq"] == 50 and len(setup.entries()) >= 51)
    numbered = [entry for entry in setup.entries() if entry.event.numbered]
    assert [entry.position for entry in numbered] == list(range(1, 51))
    assert [entry.event.seq for entry in numbered] == list(range(1, 51))


def test_what_came_while_the_store_was_busy_is_one_batch(setup: Setup) -> None:
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.update(own={"n": 0})
    assert gate.reached.wait(30)
    for n in range(1, 1 + MAX_BATCH // 2):
        setup.pipeline.update(own={"n": n})
    assert setup.writer.queued > MAX_BATCH // 2, "what is being written waits too"
    gate.open()
    wait_until(lambda: sum(setup.store.batches) >= 2 + MAX_BATCH // 2)
    assert setup.store.batches[-2:] == [1, MAX_BATCH // 2]


def test_everything_keeps_its_place_among_the_events(setup: Setup) -> None:
    receiver = object()
    setup.pipeline.update(own={"n": 1})
    core_of(setup.pipeline).show_to(setup.writer, receiver)
    setup.pipeline.update(own={"n": 2})
    wait_until(lambda: len(setup.entries()) >= 3)
    kinds = [
        item.event.seq if isinstance(item, Entry) else "shown"
        for item in setup.delivered
        if isinstance(item, SnapshotFor) or (isinstance(item, Entry) and item.event.numbered)
    ]
    assert kinds == [1, "shown", 2]


def test_a_store_that_fails_is_given_up_and_events_go_on_in_a_new_epoch(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.pipeline.update(own={"n": 0})
    wait_until(lambda: len(setup.entries()) >= 2)
    old = setup.pipeline.get()["epoch"]
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.update(own={"n": 1})
    assert gate.reached.wait(30)
    setup.store.broken = "the disk is full"
    setup.pipeline.update(own={"n": 2})
    core_of(setup.pipeline).show_to(setup.writer, object())
    gate.open()
    wait_until(lambda: len(setup.raw()) >= 3)
    setup.pipeline.update(own={"n": 3})
    wait_until(lambda: [event.seq for event in setup.raw() if event.numbered] == [2, 3, 4])
    new = setup.pipeline.get()["epoch"]
    assert new != old
    for event in setup.raw():
        assert event.epoch == event.payload()["epoch"] == new
    (shown,) = [item for item in setup.delivered if isinstance(item, SnapshotFor)]
    assert shown.event.payload()["epoch"] == new
    assert setup.told == ["failed"]
    assert setup.writer.failure == "the disk is full"
    assert caplog.messages == ["the disk is full; events are kept in memory from here on"]


def test_stopping_writes_what_is_queued() -> None:
    setup = Setup()
    for n in range(3 * MAX_BATCH):
        setup.pipeline.update(own={"n": n})
    setup.close()
    assert [entry.position for entry in setup.entries() if entry.event.numbered] == list(range(1, 3 * MAX_BATCH + 1))


def test_what_is_dropped_is_counted_and_a_gap_in_its_place_is_kept(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.skip_file("first", "no text")
    assert gate.reached.wait(30)
    setup.writer._handover._limit = 130
    for n in range(200):
        setup.pipeline.skip_file(f"f{n}", "no text")
    assert setup.writer.dropped > 0
    gate.open()
    wait_until(lambda: not len(setup.writer._handover))
    setup.pipeline.update(status="idle")
    setup.pipeline.skip_file("after", "no text")
    wait_until(lambda: setup.entries()[-1].event.seq == 203)
    numbered = [entry for entry in setup.entries() if entry.event.numbered]
    assert [entry.position for entry in numbered] == list(range(1, len(numbered) + 1)), "the gap has a place of its own"
    jumps = [two.event for one, two in itertools.pairwise(numbered) if two.event.seq > one.event.seq + 1]
    assert [event.payload().get("gap") for event in jumps] == [True]
    assert not setup.store.is_whole()
    assert any("events were dropped" in message for message in caplog.messages)


class BrokenBody(NamedTuple):
    """A body that nobody foresaw."""

    def to_json(self, at: float) -> Json:
        raise TypeError(f"no JSON of {at}")


def test_an_event_that_can_not_be_kept_is_left_out_and_the_rest_of_its_batch_is_not(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.update(own={"n": 0})
    assert gate.reached.wait(30)
    setup.store.refuses = lambda event: isinstance(event.body, BrokenBody)
    old = setup.pipeline.get()["epoch"]
    publish_all = setup.writer.publish_all

    def spoil(items: Iterator[Event | Other]) -> None:
        publish_all(
            iter(
                [
                    item._replace(body=BrokenBody())
                    if isinstance(item, Event) and item.seq == 500 and item.numbered
                    else item
                    for item in items
                ]
            )
        )

    setup.writer.publish_all = spoil  # type: ignore[method-assign]
    for n in range(1, MAX_BATCH):
        setup.pipeline.update(own={"n": n})
    core_of(setup.pipeline).show_to(setup.writer, object())
    gate.open()
    wait_until(lambda: setup.entries()[-1].event.seq == MAX_BATCH)
    kept = [entry.event for entry in setup.entries() if entry.event.numbered]
    assert [event.seq for event in kept] == [seq for seq in range(1, MAX_BATCH + 1) if seq != 500]
    assert [event.epoch == old for event in kept] == [seq < 500 for seq in range(1, MAX_BATCH + 1) if seq != 500]
    assert setup.pipeline.get()["epoch"] != old
    (shown,) = [item for item in setup.delivered if isinstance(item, SnapshotFor)]
    assert shown.event.payload()["epoch"] == setup.pipeline.get()["epoch"]
    assert len([message for message in caplog.messages if "left out" in message]) == 1
    assert setup.writer.failure is None
    assert setup.told == []


def test_a_store_that_takes_nothing_is_given_up_without_a_word_of_damage(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: bool(setup.entries()))
    setup.store.refuses = lambda _event: True
    for n in range(MAX_LEFT_OUT + 10):
        setup.pipeline.update(own={"n": n})
    wait_until(lambda: setup.writer.failure is not None)
    assert setup.writer.failure == "the journal can't be written (TypeError: refused)"
    setup.pipeline.update(own={"n": "after"})
    wait_until(lambda: any(event.payload().get("n") == "after" for event in setup.raw()))
    assert "damaged" not in caplog.text


def test_a_batch_is_bounded_by_bytes(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.journal.writer.MAX_BATCH_BYTES", 1 << 16)
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.update(own={"n": 0})
    assert gate.reached.wait(30)
    for n in range(200):
        setup.pipeline.complete_file(f"f{n}", result="x" * 10_000)
    gate.open()
    wait_until(lambda: setup.entries()[-1].event.seq == 201)
    assert max(setup.store.batches) < 100
