"""Epochs: one that ends takes the events that are under way with it."""

from __future__ import annotations

import pytest

from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import EventBound
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = PipelineStatus("local_files", "ending")
    made.update(status="running")
    return made


def test_events_that_are_under_way_get_the_epoch_of_now(pipeline: PipelineStatus) -> None:
    epochs = Epochs(lambda: [core_of(pipeline)])
    before = core_of(pipeline).status_event()
    assert epochs.restamped(before) is before
    assert epochs.end("ending")
    assert epochs.end("ending")
    after = epochs.restamped(before)
    assert after.epoch == after.payload()["epoch"] == pipeline.get()["epoch"] != before.epoch
    marked = EventBound().after_gap(before)
    assert marked is not None
    assert epochs.restamped(marked).payload()["epoch"] == pipeline.get()["epoch"]


def test_an_unknown_pipeline_has_no_epoch_to_end(pipeline: PipelineStatus) -> None:
    epochs = Epochs(lambda: [core_of(pipeline)])
    assert not epochs.end("other")
    assert not epochs.end(None)
    epochs.end_all()
    assert epochs.restamped(core_of(pipeline).status_event()).epoch == pipeline.get()["epoch"]


def test_a_sequence_that_stays_torn_gets_a_new_epoch(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.journal.epochs.PATIENCE_SECONDS", 0.0)
    epochs, recorder = Epochs(lambda: [core_of(pipeline)]), Recorder()
    core_of(pipeline).attach(recorder)
    handover: Mailbox[PipelineEvent] = Mailbox(bound=EventBound())
    old = pipeline.get()["epoch"]
    epochs.watch(handover)
    handover._torn["ending"] = True
    epochs.watch(handover)
    assert pipeline.get()["epoch"] == old, "its next status says so by itself"
    epochs.watch(handover)
    assert recorder.events[-1].epoch == pipeline.get()["epoch"] != old
    handover.close()


def test_what_was_dropped_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    epochs = Epochs(list)
    handover: Mailbox[PipelineEvent] = Mailbox(bound=EventBound())
    for dropped in (0, 3, 5):
        handover.dropped = dropped
        epochs.watch(handover)
    assert [message.partition(":")[0] for message in caplog.messages] == ["3 events were dropped"]
    handover.close()
