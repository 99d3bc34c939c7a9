"""Snapshot rounds serve all waiting clients, with the events that pass meanwhile in order."""

from __future__ import annotations

from rag_pipeline.broadcast.snapshots import SnapshotRound, SnapshotRounds
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NO_RESUME_OFFSET, PipelineEvent
from rag_pipeline.journal import Generations, Tail
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.broadcast.outlets import RecordingOutlet
from tests.support.recorder import Recorder

NS = events.NS_PIPELINE


class Setup:
    """Two pipelines whose states arrive when the test says so."""

    def __init__(self) -> None:
        self.pipelines = [PipelineStatus("local_files", "one"), PipelineStatus("other", "two")]
        self.recorder = Recorder()
        for pipeline in self.pipelines:
            core_of(pipeline).attach(self.recorder)
        self.tail = Tail(Generations("0123456789abcdef"))
        self.rounds: list[SnapshotRound] = []
        self.ready: list[tuple[str, SnapshotRound]] = []
        self.snapshots = SnapshotRounds(
            self.ask, lambda subscriber, one: self.ready.append((subscriber.sid, one)), self.tail
        )

    def ask(self, one: SnapshotRound) -> list[str]:
        self.rounds.append(one)
        return [pipeline.pipeline_id for pipeline in self.pipelines]

    def add(self, sid: str) -> None:
        self.snapshots.add(Subscriber(sid, sid, NS, RecordingOutlet()))

    def show(self, which: int, nth: int = 0) -> None:
        self.snapshots.take(self.rounds[nth], core_of(self.pipelines[which]).status_event())

    def work(self, which: int) -> PipelineEvent:
        self.pipelines[which].add_processing_file("a")
        event = self.recorder.changes[-1]
        self.snapshots.record(self.tail.number(event))
        return event


def test_clients_that_join_together_share_a_round() -> None:
    setup = Setup()
    for sid in "abc":
        setup.add(sid)
    assert len(setup.rounds) == 1
    setup.show(0)
    setup.add("late")
    assert len(setup.rounds) == 2, "a later client needs a round of its own"
    setup.show(1)
    assert [sid for sid, _ in setup.ready] == ["a", "b", "c"]
    setup.show(0, 1)
    setup.show(1, 1)
    assert [sid for sid, _ in setup.ready] == ["a", "b", "c", "late"]


def test_a_newcomers_script_has_only_newer_events_and_a_resumed_clients_has_all() -> None:
    setup = Setup()
    setup.add("a")
    covered = setup.work(0)
    setup.show(0)
    newer = setup.work(0)
    setup.show(1)
    ((_, one),) = setup.ready
    script = one.script(NS, resumed=False)
    assert [(step.entry.event.name, step.is_state) for step in script] == [
        (events.STATUS, True), (newer.name, False), (events.STATUS, True)
    ]  # fmt: skip
    assert [step.offset == NO_RESUME_OFFSET for step in script] == [True, True, False]
    everything = one.script(NS, resumed=True)
    assert [step.entry.event.seq for step in everything if not step.is_state] == [covered.seq, newer.seq]
    assert NO_RESUME_OFFSET not in [step.offset for step in everything]
    assert (one.end, one.clock) == (setup.tail.newest, setup.tail.clock)


def test_a_namespace_without_pipelines_has_an_empty_state() -> None:
    setup = Setup()
    setup.add("a")
    setup.show(0)
    setup.show(1)
    ((_, one),) = setup.ready
    (step,) = one.script(events.NS_GOOGLE_DRIVE, resumed=False)
    assert (step.is_state, step.entry.event.payload()["pipeline_id"], step.offset == NO_RESUME_OFFSET) == (
        True,
        None,
        False,
    )


def test_a_leaving_client_and_a_failing_state_do_not_hold_up_a_round() -> None:
    setup = Setup()
    setup.add("a")
    setup.add("b")
    setup.snapshots.discard("a")
    setup.show(0)
    setup.show(0)
    setup.snapshots.give_up(setup.rounds[0], "two")
    assert [sid for sid, _ in setup.ready] == ["b"]
    setup.show(1)
    assert not setup.snapshots.open


def test_aborting_returns_the_receivers() -> None:
    setup = Setup()
    setup.add("a")
    assert [subscriber.sid for subscriber in setup.snapshots.abort()] == ["a"]
    setup.show(0)
    setup.show(1)
    assert not setup.ready


def test_encoded_states_are_not_kept_for_slow_clients() -> None:
    setup = Setup()
    setup.add("a")
    setup.show(0)
    setup.show(1)
    ((_, one),) = setup.ready
    entries = [step.entry for step in one.script(NS, resumed=False)]
    texts = [entry.text for entry in entries]
    one.forget_texts()
    assert [entry.cached_text for entry in entries] == texts
    one._completed_at -= 60
    one.forget_texts()
    assert [entry.cached_text for entry in entries] == [None, None]
    assert [entry.text for entry in entries] == texts
