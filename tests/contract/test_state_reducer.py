"""The state reduced from events equals the state of the pipeline."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.contract import events
from rag_pipeline.contract.state_reducer import apply_event
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder
from tests.support.state_client import without_volatile

NAMES = st.sampled_from(["a", "b", "c"])
IDS = st.none() | st.sampled_from(["1", "2"])


class Picture(RuleBasedStateMachine):
    """Makes calls in any order, and reduces the state from the numbered events after each."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = PipelineStatus("local_files", "pictured")
        # A derived status, like a rate, is in no file event.
        self.pipeline.update(status="running")
        self.recorder = Recorder()
        core_of(self.pipeline).attach(self.recorder)
        self.taken = 0
        self.state: dict[str, Any] | None = None

    @rule(name=NAMES, file_id=IDS)
    def start(self, name: str, file_id: str | None) -> None:
        self.pipeline.add_processing_file(name, file_id)

    @rule(name=NAMES, file_id=IDS, progress=st.none() | st.floats(0, 1))
    def progress(self, name: str, file_id: str | None, progress: float | None) -> None:
        self.pipeline.file_progress(name, "stage", progress, file_id=file_id)

    @rule(name=NAMES, file_id=IDS, success=st.booleans())
    def complete(self, name: str, file_id: str | None, success: bool) -> None:
        self.pipeline.complete_file(name, success, file_id=file_id)

    @rule(name=NAMES, file_id=IDS)
    def skip(self, name: str, file_id: str | None) -> None:
        self.pipeline.skip_file(name, "why", file_id=file_id)

    @rule(name=NAMES, file_id=IDS)
    def delete(self, name: str, file_id: str | None) -> None:
        self.pipeline.delete_file(name, file_id=file_id)

    @rule(n=st.integers(0, 9))
    def update(self, n: int) -> None:
        self.pipeline.update(own={"n": n})

    @invariant()
    def the_picture_is_true(self) -> None:
        core_of(self.pipeline).flush(everything=True)
        for event in self.recorder.events[self.taken :]:
            # Without the later snapshots: they would hide errors.
            if event.numbered or self.state is None:
                self.state = apply_event(self.state, event.name, json.loads(json.dumps(event.payload())))
        self.taken = len(self.recorder.events)
        if self.state is not None:
            assert without_volatile(self.state) == without_volatile(self.pipeline.get())

    def teardown(self) -> None:
        self.pipeline.close()


TestPicture = pytest.mark.slow(Picture.TestCase)
TestPicture.settings = hypothesis_settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_there_is_no_state_before_the_first_status() -> None:
    assert apply_event(None, events.FILE_STARTED, {"file": {}}) is None


def test_an_event_that_is_not_newer_changes_nothing() -> None:
    recorder = Recorder()
    pipeline = PipelineStatus("local_files", "pictured")
    core_of(pipeline).attach(recorder)
    pipeline.add_processing_file("a")
    state = pipeline.get()
    assert apply_event(state, events.FILE_STARTED, recorder.last) is state
    pipeline.close()


def test_files_beyond_the_list_are_counted() -> None:
    recorder = Recorder()
    pipeline = PipelineStatus("local_files", "pictured")
    core_of(pipeline).attach(recorder)
    state: dict[str, Any] | None = None
    for n in range(150):
        pipeline.add_processing_file(f"f{n}")
    for n in (0, 149, 75):
        pipeline.complete_file(f"f{n}")
    for event in recorder.events:
        if event.numbered or state is None:
            state = apply_event(state, event.name, event.payload())
    assert state is not None
    assert state["files_in_flight"] == 147
    pipeline.close()
