"""The writer delivers in order what it stored; what can't be stored is delivered too, in a new epoch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.journal.writer import MAX_BATCH, MAX_LEFT_OUT, JournalWriter
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import DueFlush, SnapshotFor
from tests.journal.stores import Gate, ScriptedJournal
from tests.support.waiting import wait_until

Other = DueFlush | SnapshotFor


class Setup:
    def __init__(self) -> None:
        self.store = ScriptedJournal()
        self.pipeline = PipelineStatus("local_files", "written")
        self.delivered: list[PipelineEvent | Entry | Other] = []
        self.failures: list[str] = []
        self.writer = JournalWriter(
            self.store,
            self.delivered.append,
            on_failure=self.failures.append,
            pipelines=lambda: [core_of(self.pipeline)],
        )
        core_of(self.pipeline).attach(self.writer)
        self.writer.start()

    def entries(self) -> list[Entry]:
        return [item for item in self.delivered if isinstance(item, Entry)]

    def raw(self) -> list[PipelineEvent]:
        return [item for item in self.delivered if isinstance(item, PipelineEvent)]

    def close(self) -> None:
        self.pipeline.close()
        assert self.writer.stop()


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.close()


def test_events_are_delivered_once_they_are_stored(setup: Setup) -> None:
    for n in range(50):
        setup.pipeline.update(own={"n": n})
    wait_until(lambda: setup.pipeline.get()["seq"] == 50 and len(setup.entries()) >= 51)
    numbered = [entry for entry in setup.entries() if entry.event.numbered]
    assert [entry.position for entry in numbered] == list(range(1, 51))
    assert [entry.event.seq for entry in numbered] == list(range(1, 51))


def test_events_that_came_during_a_write_are_one_batch(setup: Setup) -> None:
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.update(own={"n": 0})
    assert gate.reached.wait(30)
    for n in range(1, 1 + MAX_BATCH // 2):
        setup.pipeline.update(own={"n": n})
    assert setup.writer.queued > MAX_BATCH // 2, "events that are being written count too"
    gate.open()
    wait_until(lambda: sum(setup.store.batches) >= 2 + MAX_BATCH // 2)
    assert setup.store.batches[-2:] == [1, MAX_BATCH // 2]


def test_other_items_keep_their_place_among_the_events(setup: Setup) -> None:
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


def test_a_failing_journal_is_given_up_and_events_continue_in_a_new_epoch(
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
    assert setup.failures == ["the disk is full"]
    assert caplog.messages == ["the disk is full; from now on events are kept in memory only"]


def test_stopping_writes_what_is_queued() -> None:
    setup = Setup()
    for n in range(3 * MAX_BATCH):
        setup.pipeline.update(own={"n": n})
    setup.close()
    assert [entry.position for entry in setup.entries() if entry.event.numbered] == list(range(1, 3 * MAX_BATCH + 1))


def test_dropped_events_are_counted_and_replaced_by_a_stored_gap(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: bool(setup.entries()))
    gate = Gate()
    setup.store.before_append = gate
    setup.pipeline.skip_file("first", "no text")
    assert gate.reached.wait(30)
    setup.writer._mailbox._limit = 130
    for n in range(200):
        setup.pipeline.skip_file(f"f{n}", "no text")
    assert setup.writer.dropped > 0
    gate.open()
    wait_until(lambda: not len(setup.writer._mailbox))
    setup.pipeline.update(status="idle")
    setup.pipeline.skip_file("after", "no text")
    wait_until(lambda: setup.entries()[-1].event.seq == 203)
    numbered = [entry for entry in setup.entries() if entry.event.numbered]
    assert [entry.position for entry in numbered] == list(range(1, len(numbered) + 1)), "the gap has its own position"
    jumps = [two.event for one, two in itertools.pairwise(numbered) if two.event.seq > one.event.seq + 1]
    assert [event.payload().get("gap") for event in jumps] == [True]
    assert not setup.store.has_all_files()
    assert any("events were dropped" in message for message in caplog.messages)


class BrokenBody(NamedTuple):
    """A body that can't be encoded."""

    def to_json(self, at: float) -> Json:
        raise TypeError(f"no JSON of {at}")


def test_only_the_event_that_can_not_be_stored_is_left_out_of_a_batch(
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

    def spoil(items: Iterator[object]) -> None:
        publish_all(
            iter(
                [
                    item._replace(body=BrokenBody())
                    if isinstance(item, PipelineEvent) and item.seq == 500 and item.numbered
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
    assert setup.failures == []


def test_a_journal_that_stores_nothing_is_given_up_but_not_called_damaged(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: bool(setup.entries()))
    setup.store.refuses = lambda _event: True
    for n in range(MAX_LEFT_OUT + 10):
        setup.pipeline.update(own={"n": n})
    wait_until(lambda: bool(setup.failures))
    assert setup.failures == ["the journal can't be written (TypeError: refused)"]
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
