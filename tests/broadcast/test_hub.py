"""The hub sends each client the snapshot, then every newer event once and in order, whatever other clients do."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.broadcast import Hub, HubItem, PacketBatch, Subscriber
from rag_pipeline.broadcast.hub import MAX_ITEMS_A_TURN
from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract import events
from rag_pipeline.journal import Generations, Tail
from rag_pipeline.journal.gap import EventOverflow
from rag_pipeline.status import clocks
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.broadcast.outlets import RecordingOutlet
from tests.support.state_client import StateClient, without_volatile
from tests.support.waiting import wait_until


class Setup:
    """A hub over pipelines of its own, drained by the test."""

    def __init__(self, *pipelines: PipelineStatus, limit: int = 200_000) -> None:
        self.pipelines = [core_of(pipeline) for pipeline in pipelines]
        self.mailbox: Mailbox[HubItem] = Mailbox(limit, policy=EventOverflow())
        self.hub = Hub(lambda: self.pipelines, self.mailbox, Tail(Generations("0123456789abcdef")))
        self.joined = 0
        for pipeline in pipelines:
            core_of(pipeline).attach(self.mailbox)

    def join(self, namespace: str = events.NS_PIPELINE, works: int | None = None) -> tuple[Subscriber, RecordingOutlet]:
        self.joined += 1
        outlet = RecordingOutlet(works)
        subscriber = Subscriber(f"s{self.joined}", f"c{self.joined}", namespace, outlet)
        self.hub.join(subscriber)
        return subscriber, outlet

    def settle(self) -> None:
        """Drain until nothing is left but timers."""
        while self.hub.drain() == 0.0:
            pass

    def close(self) -> None:
        for pipeline in self.pipelines:
            pipeline.close()
        self.mailbox.close()


@pytest.fixture
def one() -> Iterator[tuple[Setup, PipelineStatus]]:
    pipeline = PipelineStatus("local_files", "hub-one")
    pipeline.update(status="running")
    setup = Setup(pipeline)
    yield setup, pipeline
    setup.close()


One = tuple[Setup, PipelineStatus]


def followed(outlet: RecordingOutlet) -> StateClient:
    client = StateClient()
    for _, name, body in outlet.received:
        client.follow(name, body)
    return client


def test_a_newcomer_gets_the_snapshot_and_then_what_is_newer(one: One) -> None:
    setup, pipeline = one
    pipeline.update(status="before")  # queued, and part of the snapshot
    _, outlet = setup.join()
    pipeline.update(status="between")
    setup.settle()
    pipeline.update(status="after")
    setup.settle()
    assert [(ns, name) for ns, name, _ in outlet.received] == [("/pipeline", events.STATUS)] * 2
    assert [body["status"] for _, _, body in outlet.received] == ["between", "after"]


def test_events_go_to_the_namespaces_of_their_pipelines_type(one: One) -> None:
    setup, pipeline = one
    outlets = {ns: setup.join(ns)[1] for ns in events.NAMESPACE_NAMES}
    setup.settle()
    pipeline.add_processing_file("a")
    setup.settle()
    for both in ("/pipeline", "/"):
        assert [(ns, name) for ns, name, _ in outlets[both].received] == [
            (both, events.STATUS),
            (both, events.FILE_STARTED),
        ]
    assert [name for _, name, _ in outlets["/local_files"].received] == [events.STATUS, events.FILE_STARTED]
    ((_, name, body),) = outlets["/google_drive"].received
    assert (name, body["pipeline_type"], body["status"]) == (events.STATUS, "google_drive", "initializing")
    assert (body["pipeline_id"], body["seq"], body["files_processing"]) == (None, 0, [])


def test_a_newcomer_gets_a_snapshot_of_every_pipeline() -> None:
    pipelines = [PipelineStatus(kind, f"hub-{kind}") for kind in ("local_files", "google_drive", "other")]
    setup = Setup(*pipelines)
    _, outlet = setup.join()
    setup.settle()
    assert [body["pipeline_id"] for _, _, body in outlet.received] == [p.pipeline_id for p in pipelines]
    setup.close()


def test_only_the_last_snapshot_has_an_offset_to_resume_from() -> None:
    names = {"google_drive": "drive", "local_files": "folder"}
    setup = Setup(*(PipelineStatus(kind, f"hub-offset-{name}") for kind, name in names.items()))
    for namespace in events.NAMESPACE_NAMES:
        _, outlet = setup.join(namespace)
        setup.settle()
        offsets = [body["offset"] for _, _, body in outlet.received]
        assert [offset == events.NO_RESUME_OFFSET for offset in offsets] == [True] * (len(offsets) - 1) + [False]
    setup.close()


@pytest.mark.parametrize("works", [0, 1])
def test_a_client_that_fails_is_dropped_and_the_others_continue(
    one: One, works: int, caplog: pytest.LogCaptureFixture
) -> None:
    setup, pipeline = one
    good = [setup.join()[1] for _ in range(2)]
    _, bad = setup.join(works=works)
    good += [setup.join()[1] for _ in range(2)]
    setup.settle()
    for n in range(3):
        pipeline.update(own={"n": n})
        setup.settle()
    assert [len(outlet.received) for outlet in good] == [4] * 4
    assert bad.reasons == ["writing to it failed"]
    assert setup.hub.clients()["total"] == 4


def test_a_newcomer_that_fails_does_not_affect_the_others(one: One) -> None:
    setup, pipeline = one
    _, bad = setup.join(works=1)
    _, good = setup.join()
    greet = bad.send

    def greet_while_the_pipeline_reports(batch: PacketBatch) -> None:
        if not bad.received:
            pipeline.update(status="between")  # newer than the snapshot, before the client is live
        greet(batch)

    bad.send = greet_while_the_pipeline_reports  # type: ignore[method-assign]
    setup.settle()
    pipeline.update(status="after")
    setup.settle()
    assert [body["status"] for _, _, body in good.received] == ["running", "between", "after"]
    assert setup.hub.clients()["total"] == 1
    assert bad.reasons == ["writing to it failed"]


def test_leaving_is_final_at_every_stage(one: One) -> None:
    setup, pipeline = one
    early, early_outlet = setup.join()
    setup.hub.leave(early.sid, early.namespace)
    late, late_outlet = setup.join()
    setup.settle()
    setup.hub.leave(late.sid, late.namespace)
    setup.hub.leave("unknown", "/pipeline")
    pipeline.update()
    setup.settle()
    assert (len(early_outlet.received), len(late_outlet.received)) == (0, 1)
    assert setup.hub.clients() == {"total": 0, "/google_drive": 0, "/local_files": 0, "/pipeline": 0}


def test_clients_are_counted_by_namespace_and_connection(one: One) -> None:
    setup, _ = one
    for sid, namespace in (("1", "/pipeline"), ("2", "/local_files")):
        setup.hub.join(Subscriber(sid, "same", namespace, RecordingOutlet()))
    setup.join()
    assert setup.hub.clients() == {"total": 2, "/google_drive": 0, "/local_files": 1, "/pipeline": 2}
    setup.settle()
    assert setup.hub.clients()["total"] == 2


def test_a_burst_is_sent_as_one_buffer_and_counted(one: One) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    setup.settle()
    sends = 0
    original = outlet.send

    def send(batch: object) -> None:
        nonlocal sends
        sends += 1
        original(batch)  # type: ignore[arg-type]

    outlet.send = send  # type: ignore[method-assign]
    before = setup.hub.events_sent
    for n in range(20):
        pipeline.add_processing_file(f"f{n}")
    setup.hub.drain()
    assert (sends, setup.hub.events_sent - before, len(outlet.received)) == (1, 20, 21)


@pytest.mark.slow
def test_a_turn_is_bounded_and_requests_the_next(one: One) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    setup.settle()
    for n in range(MAX_ITEMS_A_TURN + 10):
        pipeline.add_processing_file(f"f{n}")
    assert setup.hub.drain() == 0.0
    assert 0 < len(outlet.received) <= MAX_ITEMS_A_TURN + 1
    setup.settle()
    names = [name for _, name, _ in outlet.received]
    assert names.count(events.FILE_STARTED) == MAX_ITEMS_A_TURN + 10


def test_timers_publish_held_progress_and_the_status_after_it(one: One) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    pipeline.add_processing_file("a")
    for n in range(5):
        pipeline.file_progress("a", "s", n / 4)

    def shown() -> bool:
        wait = setup.hub.drain()
        assert wait is None or wait < 1
        names = [name for _, name, _ in outlet.received]
        return names[-1:] == [events.STATUS] and followed(outlet).state == outlet_state(pipeline)

    def outlet_state(source: PipelineStatus) -> object:
        return without_volatile(source.get()) | {
            key: value
            for key, value in (followed(outlet).state or {}).items()
            if key not in without_volatile(source.get())
        }

    wait_until(shown)
    assert (followed(outlet).state or {})["files_processing"][0]["progress"] == 1.0


def test_a_call_runs_after_earlier_events_and_may_fail(one: One, caplog: pytest.LogCaptureFixture) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    setup.settle()
    seen: list[int] = []
    pipeline.update()
    setup.hub.call(lambda: 1 / 0)  # type: ignore[arg-type]
    setup.hub.call(lambda: seen.append(len(outlet.received)))
    setup.settle()
    assert seen == [2]
    assert "a call on the hub failed" in caplog.text


def test_events_dropped_by_a_full_mailbox_are_marked_by_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = PipelineStatus("local_files", "hub-over")
    setup = Setup(pipeline, limit=130)
    outlets = [setup.join()[1] for _ in range(3)]
    setup.settle()
    for n in range(200):
        pipeline.skip_file(f"f{n}", "no text")
    assert setup.mailbox.dropped > 0
    setup.settle()
    pipeline.skip_file("lost too, since nothing stands for what was dropped", "no text")
    pipeline.update(status="idle")
    pipeline.skip_file("after", "no text")
    setup.settle()
    for outlet in outlets:
        assert not outlet.reasons
        told = [(body["seq"], body.get("gap", False)) for _, name, body in outlet.received]
        numbered = [seq for seq, _ in told]
        assert numbered == sorted(numbered)
        jumps = [mark for (before, _), (seq, mark) in itertools.pairwise(told) if seq > before + 1]
        assert jumps == [True], "the only jump is marked"
        # The first status after the gap carries the mark, numbered or not.
        assert told[-1] == (203, False)
        assert [mark for _, mark in told].count(True) == 1
        assert outlet.received[-2][2]["total_skipped"] == 201
    (line,) = [message for message in caplog.messages if "events were dropped" in message]
    assert 0 < int(line.split()[0]) <= setup.mailbox.dropped
    setup.close()


def test_a_gap_without_a_status_ends_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.journal.epochs.PATIENCE_SECONDS", 0.0)
    pipeline = PipelineStatus("local_files", "hub-silent")
    setup = Setup(pipeline, limit=130)
    _, outlet = setup.join()
    setup.settle()
    before = pipeline.get()["epoch"]
    setup.mailbox._gaps[pipeline.pipeline_id] = True

    def told() -> bool:
        setup.hub.drain()
        return bool(outlet.received[-1][2].get("gap"))

    wait_until(told)
    assert outlet.received[-1][2]["epoch"] == pipeline.get()["epoch"] != before
    assert not setup.mailbox.has_gaps
    setup.close()


def test_control_messages_pass_a_full_mailbox(one: One) -> None:
    setup, pipeline = one
    setup.mailbox._limit = 130
    for n in range(200):
        pipeline.skip_file(f"f{n}", "no text")
    _, outlet = setup.join()
    called: list[bool] = []
    setup.hub.call(lambda: called.append(True))
    setup.settle()
    assert called == [True]
    assert outlet.received[0][1] == events.STATUS
    assert setup.hub.clients()["total"] == 1


class BrokenBody(NamedTuple):
    """A body that can't be encoded."""

    def to_json(self, at: float) -> events.Json:
        raise TypeError(f"no JSON of {at}")


def test_only_an_event_that_can_not_be_encoded_is_left_out(one: One, caplog: pytest.LogCaptureFixture) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    setup.settle()
    old = pipeline.get()["epoch"]
    publish_all = setup.mailbox.publish_all

    def spoil(items: Iterator[HubItem]) -> None:
        broken: list[HubItem] = []
        for item in items:
            is_third = isinstance(item, events.PipelineEvent) and item.name == events.FILE_STARTED and item.seq == 3
            broken.append(item._replace(body=BrokenBody()) if is_third else item)  # type: ignore[union-attr,call-arg]
        publish_all(iter(broken))

    setup.mailbox.publish_all = spoil  # type: ignore[method-assign]
    for n in range(5):
        pipeline.add_processing_file(f"f{n}")
    setup.settle()
    started = [(body["seq"], body["epoch"] == old) for _, name, body in outlet.received if name == events.FILE_STARTED]
    assert started == [(2, True), (4, False), (5, False), (6, False)]
    assert outlet.received[-1][2]["files_in_flight"] == 5
    left_out = [record for record in caplog.records if "left out" in record.getMessage()]
    assert len(left_out) == 1
    _, again = setup.join()
    setup.settle()
    assert again.received[-1][2]["epoch"] == pipeline.get()["epoch"]


def test_the_next_turn_is_due_within_a_second(one: One) -> None:
    setup, _ = one
    assert 0 < setup.hub.drain() <= 1.0


@pytest.mark.slow
def test_every_client_gets_the_right_state_while_threads_report_and_clients_come_and_go(one: One) -> None:
    setup, pipeline = one

    def work(name: str) -> None:
        for n in range(400):
            with pipeline.processing(f"{name}-{n}") as file:
                file.stage("s", 0.5)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    outlets: list[RecordingOutlet] = []
    while any(thread.is_alive() for thread in threads):
        subscriber, outlet = setup.join()
        setup.hub.drain()
        if setup.joined % 3 == 0:
            setup.hub.leave(subscriber.sid, subscriber.namespace)
        else:
            outlets.append(outlet)
        time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    core_of(pipeline).flush(everything=True)
    setup.settle()
    for outlet in outlets[:: max(1, len(outlets) // 30)]:
        state = followed(outlet).state
        assert state is not None
        assert without_volatile(state) == without_volatile(pipeline.get())


# -- any order of actions ----------------------------------------------------------------------------------------------


class HubMachine(RuleBasedStateMachine):
    """Joins, leaves, mutations and turns of the hub in any order; two pipelines of two types."""

    def __init__(self) -> None:
        super().__init__()
        self.pipelines = [PipelineStatus("local_files", "m-local"), PipelineStatus("other", "m-other")]
        for pipeline in self.pipelines:
            pipeline.update(status="running")
        self.setup = Setup(*self.pipelines)
        self.present: list[tuple[Subscriber, RecordingOutlet]] = []
        logging.disable(logging.CRITICAL)

    @rule(namespace=st.sampled_from(events.NAMESPACE_NAMES), works=st.none() | st.none() | st.integers(0, 4))
    def join(self, namespace: str, works: int | None) -> None:
        self.present.append(self.setup.join(namespace, works))

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.present:
            subscriber, outlet = self.present.pop(data.draw(st.integers(0, len(self.present) - 1)))
            self.setup.hub.leave(subscriber.sid, subscriber.namespace)
            outlet.reasons.append("left")

    @rule(which=st.integers(0, 1), name=st.sampled_from("ab"), success=st.booleans())
    def mutate(self, which: int, name: str, success: bool) -> None:
        pipeline = self.pipelines[which]
        pipeline.add_processing_file(name)
        pipeline.file_progress(name, "s", 0.1)
        pipeline.file_progress(name, "s", 0.2)
        if success:
            pipeline.complete_file(name)

    @rule(which=st.integers(0, 1), everything=st.booleans())
    def flush(self, which: int, everything: bool) -> None:
        core_of(self.pipelines[which]).flush(everything=everything)

    @rule(which=st.integers(0, 1), times=st.integers(1, 3))
    def mutate_from_the_hubs_queue(self, which: int, times: int) -> None:
        for _ in range(times):
            self.setup.hub.call(lambda: self.pipelines[which].update(own={"mine": which}))

    @rule(which=st.integers(0, 1))
    def update(self, which: int) -> None:
        self.pipelines[which].update(status="idle")

    @rule()
    def drain(self) -> None:
        self.setup.hub.drain()

    @invariant()
    def everyone_present_sees_each_pipeline_from_its_snapshot_on(self) -> None:
        for subscriber, outlet in self.present:
            self.check(subscriber, outlet)

    def check(self, subscriber: Subscriber, outlet: RecordingOutlet) -> dict[str, StateClient]:
        clients: dict[str, StateClient] = {}
        for namespace, name, body in outlet.received:
            assert namespace == subscriber.channel.name
            if body["pipeline_id"] is not None:
                clients.setdefault(body["pipeline_id"], StateClient()).follow(name, body)
        return clients

    def teardown(self) -> None:
        for pipeline in self.pipelines:
            core_of(pipeline).flush(everything=True)
        self.setup.settle()
        for subscriber, outlet in self.present:
            if outlet.reasons:
                continue
            clients = self.check(subscriber, outlet)
            for pipeline in self.pipelines:
                if subscriber.namespace in events.namespaces_of(pipeline.pipeline_type):
                    state = clients[pipeline.pipeline_id].state
                    assert state is not None
                    assert without_volatile(state) == without_volatile(pipeline.get())
        self.setup.close()
        logging.disable(logging.NOTSET)


TestHubMachine = pytest.mark.slow(HubMachine.TestCase)
TestHubMachine.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.slow
def test_an_interrupted_change_is_finished_within_a_second(one: One) -> None:
    setup, pipeline = one
    _, outlet = setup.join()
    setup.settle()
    core = core_of(pipeline)
    core._unfinished = core._state.decide_update({"status": "left"}, {}, core.pipeline_type, clocks.read())
    deadline = time.monotonic() + 30
    while outlet.received[-1][2]["status"] != "left":
        assert time.monotonic() < deadline
        setup.hub.drain()
    assert pipeline.get()["status"] == "left"
