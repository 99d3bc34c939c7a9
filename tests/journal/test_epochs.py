"""Ended epochs: queued events are restamped."""

from __future__ import annotations

import pytest

from rag_pipeline.common.mailbox import Mailbox
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.epochs import Epochs
from rag_pipeline.journal.gap import EventOverflow
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = PipelineStatus("local_files", "ending")
    made.update(status="running")
    return made


def test_queued_events_get_the_current_epoch(pipeline: PipelineStatus) -> None:
    epochs = Epochs(lambda: [core_of(pipeline)])
    before = core_of(pipeline).status_event()
    assert epochs.restamped(before) is before
    assert epochs.end("ending")
    assert epochs.end("ending")
    after = epochs.restamped(before)
    assert after.epoch == after.payload()["epoch"] == pipeline.get()["epoch"] != before.epoch
    marked = EventOverflow().after_gap(before)
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
    mailbox: Mailbox[PipelineEvent] = Mailbox(policy=EventOverflow())
    old = pipeline.get()["epoch"]
    epochs.watch(mailbox)
    mailbox._gaps["ending"] = True
    epochs.watch(mailbox)
    assert pipeline.get()["epoch"] == old, "its next status marks the gap"
    epochs.watch(mailbox)
    assert recorder.events[-1].epoch == pipeline.get()["epoch"] != old
    mailbox.close()


def test_dropped_events_are_logged_at_intervals(caplog: pytest.LogCaptureFixture) -> None:
    epochs = Epochs(list)
    mailbox: Mailbox[PipelineEvent] = Mailbox(policy=EventOverflow())
    for dropped in (0, 3, 5):
        mailbox.dropped = dropped
        epochs.watch(mailbox)
    assert [message.partition(" because")[0] for message in caplog.messages] == ["3 events were dropped"]
    mailbox.close()
