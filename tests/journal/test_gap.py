"""Gaps: only a status replaces dropped events, and control messages are never dropped."""

from __future__ import annotations

import json

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.journal.base import StoredBody
from rag_pipeline.journal.gap import EventOverflow, is_gap
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import DueFlush, SnapshotFor
from tests.support.recorder import Recorder


def published() -> tuple[PipelineEvent, PipelineEvent, PipelineEvent]:
    """Return a status, a summary, and a file event."""
    recorder, pipeline = Recorder(), PipelineStatus("local_files", "torn")
    core_of(pipeline).attach(recorder)
    pipeline.update(status="running")
    pipeline.add_processing_file("a")
    summary = core_of(pipeline).status_event()
    pipeline.close()
    return recorder.changes[0], summary, recorder.changes[1]


def test_a_status_marked_as_a_gap_is_numbered() -> None:
    _, summary, started = published()
    policy: EventOverflow = EventOverflow()
    marked = policy.after_gap(summary)
    assert marked is not None
    assert (marked.numbered, marked.seq, is_gap(marked)) == (True, summary.seq, True)
    payload = marked.payload()
    assert payload.pop("gap") is True
    assert payload == summary.payload()
    assert policy.after_gap(started) is None


def test_an_entry_is_marked_only_in_its_text() -> None:
    status, _, started = published()
    policy = EventOverflow()
    marked = policy.after_gap(Entry(7, status))
    assert marked is not None
    assert (marked.position, json.loads(marked.text)["gap"]) == (7, True)
    assert policy.after_gap(Entry(8, started)) is None


def test_a_stored_gap_is_recognized() -> None:
    status, _, started = published()
    marked = EventOverflow().after_gap(status)
    assert marked is not None
    for event, expected in ((marked, True), (status, False), (started, False)):
        text = Entry(1, event).text
        assert is_gap(event._replace(body=StoredBody(text))) is expected
        assert is_gap(event) is expected


def test_events_may_be_dropped_and_control_messages_may_not() -> None:
    status, summary, started = published()
    policy, pipeline = EventOverflow(), PipelineStatus("local_files", "torn")
    pipeline.close()
    for item in (status, summary, started, Entry(1, started)):
        assert policy.weigh(item) > 0
        assert policy.subject(item) == "torn"
    for control in (DueFlush(core_of(pipeline).flush, 1.0), SnapshotFor(status, object()), object()):
        assert policy.weigh(control) == 0
    assert [policy.is_loss(item) for item in (status, summary, started)] == [True, False, True]
    assert status.name == events.STATUS
