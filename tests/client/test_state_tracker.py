"""The client rules of the protocol; Hypothesis chooses which events get lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.client.state_tracker import (
    HEAL_SECONDS,
    LEFT_OVER_SECONDS,
    QUIET_SECONDS,
    StateTracker,
)
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NO_RESUME_OFFSET
from rag_pipeline.contract.state_reducer import apply_event
from rag_pipeline.journal import offset_of
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder
from tests.support.state_client import without_volatile

Sent = tuple[str, dict[str, Any]]


def played(pipeline: PipelineStatus, recorder: Recorder, start: int = 0) -> list[Sent]:
    """Return the pipeline's events from index ``start`` on, in the form that clients receive."""
    core_of(pipeline).flush(everything=True)
    return [
        (event.name, {**json.loads(json.dumps(event.payload())), "offset": f"0123456789abcdef-{place:x}"})
        for place, event in enumerate(recorder.events)
        if place >= start
    ]


def snapshot(pipeline: PipelineStatus, offset: str = "0123456789abcdef-1", **more: object) -> Sent:
    state = pipeline.get()
    return events.STATUS, {**state, "timestamp": state["last_activity"], "offset": offset, **more}


def test_nowhere_has_the_form_of_an_offset() -> None:
    assert offset_of("0" * 16, 0) == NO_RESUME_OFFSET


class Breaks(RuleBasedStateMachine):
    """A busy pipeline, and a client whose connection breaks and whose events get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = PipelineStatus("local_files", "broken")
        self.recorder = Recorder()
        core_of(self.pipeline).attach(self.recorder)
        self.pipeline.update(status="running")
        self.place = 0  # how far the client has been served
        self.states: dict[int, dict[str, Any]] = {}  # by seq: all that were
        self.true: dict[str, Any] | None = None
        self.noted = 0
        self.now = 0.0
        self.tracker = StateTracker("/local_files")
        self.seen: list[int] = []
        self.afresh()

    def note(self) -> list[Sent]:
        sent = played(self.pipeline, self.recorder)
        for name, data in sent[self.noted :]:
            self.true = apply_event(self.true, name, data)
            assert self.true is not None
            self.states[self.true["seq"]] = without_volatile(self.true)
        self.noted = len(sent)
        return sent

    @rule(name=st.sampled_from("abc"), file_id=st.none() | st.sampled_from("12"), success=st.booleans())
    def work(self, name: str, file_id: str | None, success: bool) -> None:
        self.pipeline.add_processing_file(name, file_id)
        self.pipeline.file_progress(name, "chunking", 0.5, file_id=file_id)
        self.pipeline.complete_file(name, success, file_id=file_id)

    @rule(name=st.sampled_from("abc"))
    def begin(self, name: str) -> None:
        self.pipeline.add_processing_file(name)

    @rule(n=st.integers(0, 9))
    def update(self, n: int) -> None:
        self.pipeline.update(own={"n": n})

    @rule()
    def serve(self) -> None:
        sent = self.note()
        for name, data in sent[self.place :]:
            self.take(name, data)
        self.place = len(sent)

    @rule(count=st.integers(1, 4))
    def lose(self, count: int) -> None:
        self.place = min(self.place + count, len(self.note()))

    @rule()
    def resume(self) -> None:
        """Break the connection; the service has all missed events."""
        sent = self.note()
        offset = self.tracker.begin(self.now)
        if offset is None:
            return self.greet({})
        start = int(offset.rpartition("-")[2], 16) + 1
        for place in range(start, len(sent)):
            name, data = sent[place]
            if self.recorder.events[place].numbered:
                self.take(name, data)
        self.place = len(sent)
        name, data = snapshot(self.pipeline, f"0123456789abcdef-{self.place - 1:x}", recovered=True)
        self.take(name, data)
        return None

    @rule()
    def afresh(self) -> None:
        """Break the connection; the service has lost the missed events."""
        self.note()
        offset = self.tracker.begin(self.now)
        self.greet({} if offset is None else {"recovered": False})

    def greet(self, more: dict[str, Any]) -> None:
        self.place = len(self.note())
        self.take(*snapshot(self.pipeline, f"0123456789abcdef-{self.place - 1:x}", **more))

    @rule()
    def wait(self) -> None:
        self.now += HEAL_SECONDS
        if self.tracker.tick(self.now):
            assert self.tracker.offset is None
            self.afresh()

    def take(self, name: str, data: dict[str, Any]) -> None:
        assert self.tracker.take(name, data, self.now)
        if name != events.STATUS:
            self.seen.append(data["seq"])

    @invariant()
    def each_state_is_one_that_was(self) -> None:
        state = self.tracker.states["broken"]
        assert without_volatile(state) == self.states[state["seq"]]

    @invariant()
    def no_file_event_comes_twice(self) -> None:
        assert len(self.seen) == len(set(self.seen))

    @invariant()
    def when_all_is_served_and_nothing_waits_to_be_healed_it_is_the_truth(self) -> None:
        if self.place == len(self.note()) and self.tracker.live:
            state = self.tracker.states["broken"]
            last = self.seen[-1] if self.seen else 0
            if state["seq"] >= last and state["seq"] == self.pipeline.get()["seq"]:
                assert without_volatile(state) == without_volatile(self.pipeline.get())

    def teardown(self) -> None:
        self.serve()
        self.afresh()
        assert without_volatile(self.tracker.states["broken"]) == without_volatile(self.pipeline.get())
        self.pipeline.close()


TestBreaks = pytest.mark.slow(Breaks.TestCase)
TestBreaks.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)


def pipeline(name: str, kind: str | None = "local_files") -> tuple[PipelineStatus, Recorder]:
    made, recorder = PipelineStatus(kind, name), Recorder()
    core_of(made).attach(recorder)
    made.update(status="running")
    return made, recorder


def tracking(*pipelines: PipelineStatus, namespace: str = "/pipeline") -> StateTracker:
    tracker = StateTracker(namespace)
    assert tracker.begin(0.0) is None
    for made in pipelines:
        tracker.take(*snapshot(made), 0.0)
    return tracker


def is_live(tracker: StateTracker) -> bool:
    return tracker.live


def test_it_is_live_once_the_snapshot_is_complete() -> None:
    one, _ = pipeline("one")
    two, _ = pipeline("two")
    tracker = StateTracker("/pipeline")
    tracker.begin(0.0)
    tracker.take(*snapshot(one, NO_RESUME_OFFSET), 0.0)
    assert not is_live(tracker)
    tracker.take(*snapshot(two), 0.0)
    assert is_live(tracker)
    assert list(tracker.states) == ["one", "two"]


def test_a_snapshot_without_a_last_status_is_complete_after_a_silence() -> None:
    one, _ = pipeline("one")
    tracker = StateTracker("/local_files")
    tracker.begin(0.0)
    tracker.take(*snapshot(one, NO_RESUME_OFFSET), 0.0)
    tracker.tick(QUIET_SECONDS / 2)
    assert not is_live(tracker)
    tracker.tick(QUIET_SECONDS)
    assert is_live(tracker)


def test_a_gap_freezes_the_state_until_the_next_status() -> None:
    made, recorder = pipeline("one")
    tracker = tracking(made)
    start = len(played(made, recorder))
    for name in "abc":
        made.add_processing_file(name)
    first, second, *_ = [sent for sent in played(made, recorder, start) if sent[0] == events.FILE_STARTED]
    assert tracker.take(*second, 1.0)
    assert not is_live(tracker)
    assert tracker.states["one"]["files_in_flight"] == 0
    assert not tracker.take(*first, 1.0), "an event after its successor is old"
    assert not tracker.tick(1.0 + HEAL_SECONDS / 2)
    tracker.take(*snapshot(made), 1.0)
    assert is_live(tracker)
    assert tracker.states["one"]["files_in_flight"] == 3


def test_an_unhealed_gap_requires_a_fresh_start() -> None:
    made, recorder = pipeline("one")
    tracker = tracking(made)
    start = len(played(made, recorder))
    made.add_processing_file("a")
    made.add_processing_file("b")
    tracker.take(*[sent for sent in played(made, recorder, start) if sent[0] == events.FILE_STARTED][1], 1.0)
    assert tracker.tick(1.0 + HEAL_SECONDS)
    assert tracker.begin(4.0) is None


def test_an_event_of_a_new_epoch_is_not_applied_to_the_old_state() -> None:
    made, recorder = pipeline("one")
    tracker = tracking(made)
    start = len(played(made, recorder))
    made.add_processing_file("a")
    name, data = next(sent for sent in played(made, recorder, start) if sent[0] == events.FILE_STARTED)
    assert tracker.take(name, {**data, "epoch": "another"}, 0.0)
    assert not is_live(tracker)
    assert tracker.states["one"]["files_in_flight"] == 0


def test_after_a_break_unreported_pipelines_are_dropped() -> None:
    one, _ = pipeline("one")
    two, _ = pipeline("two")
    tracker = tracking(one, two)
    tracker.begin(1.0)
    tracker.take(*snapshot(two, recovered=False), 1.0)
    assert list(tracker.states) == ["two"]
    assert tracker.recovered is False

    tracker = tracking(one, two)
    tracker.begin(1.0)
    tracker.take(*snapshot(one), 1.0)  # a replayed update
    assert not is_live(tracker)
    tracker.take(*snapshot(two, recovered=True), 1.0)
    assert is_live(tracker)
    assert tracker.recovered is True
    assert list(tracker.states) == ["one", "two"], "its state may still come"
    tracker.tick(1.0 + LEFT_OVER_SECONDS)
    assert list(tracker.states) == ["two"]


def test_a_placeholder_is_replaced_by_the_pipeline_that_reports() -> None:
    unknown = PipelineStatus(None, "pipeline-host")
    tracker = tracking(unknown)
    assert list(tracker.states) == ["pipeline-host"]
    tracker.take(*snapshot(pipeline("one")[0]), 0.0)
    assert list(tracker.states) == ["one"]


def test_a_namespace_without_pipelines_is_live_and_empty() -> None:
    tracker = StateTracker("/google_drive")
    tracker.begin(0.0)
    name, data = snapshot(pipeline("one", "google_drive")[0])
    assert tracker.take(name, {**data, "pipeline_id": None, "seq": 0, "epoch": None}, 0.0)
    assert is_live(tracker)
    assert tracker.states == {}


def test_a_pipeline_that_changes_its_type_leaves_the_namespace() -> None:
    made, _ = pipeline("one")
    tracker = tracking(made, namespace="/local_files")
    made.update(pipeline_type="google_drive")
    tracker.take(*snapshot(made), 0.0)
    assert tracker.states == {}
    assert is_live(tracker)


def test_foreign_events_change_nothing() -> None:
    made, _ = pipeline("one")
    tracker = tracking(made)
    before = dict(tracker.states)
    name, data = snapshot(made)
    for other_name, other in (
        ("chat", data),
        (name, {}),
        (name, {**data, "seq": "1"}),
        (name, {**data, "files_processing": None}),
        (events.FILE_STARTED, data),
        (events.FILE_COMPLETED, {**data, "file": {}}),
    ):
        assert not tracker.take(other_name, other, 0.0)
    assert tracker.states == before
