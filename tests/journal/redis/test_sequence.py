from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import STATUS, PipelineEvent
from rag_pipeline.journal import FileStatus, encode_payload
from rag_pipeline.journal.redis.batch import FileRepair, FileReset
from rag_pipeline.journal.redis.sequence import SequenceTracker
from rag_pipeline.status.model import FileBody, FileRecord
from rag_pipeline.status.pipeline import core_of
from tests.journal.driving import recorded


def event(seq: int, *, numbered: bool = True, epoch: str = "e", pipeline_id: str = "p") -> PipelineEvent:
    body = FileBody(FileRecord("a", None))
    return PipelineEvent("pipeline:file_progress", ("/pipeline",), pipeline_id, None, epoch, seq, 1.0, body, numbered)


def test_consecutive_events_are_taken_unchanged() -> None:
    tracker = SequenceTracker()
    for item in (event(1), event(2), event(2, numbered=False), event(3), event(1, pipeline_id="q")):
        assert not tracker.is_old(item)
        assert not tracker.misses(item)
        assert tracker.take(item) == [item]


def test_a_taken_event_is_old_but_a_summary_at_its_seq_is_not() -> None:
    tracker = SequenceTracker()
    tracker.take(event(5))
    assert tracker.is_old(event(5))
    assert tracker.is_old(event(4, numbered=False))
    assert not tracker.is_old(event(5, numbered=False))
    assert not tracker.is_old(event(1, epoch="another"))


def test_a_jump_is_noticed_in_an_event_and_in_a_summary() -> None:
    tracker = SequenceTracker()
    assert not tracker.misses(event(7))  # the first event
    tracker.take(event(5))
    assert tracker.misses(event(7))
    assert tracker.misses(event(6, numbered=False))
    assert not tracker.misses(event(9, epoch="another"))


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans())))
def test_no_numbered_event_is_taken_twice_or_out_of_order(drawn: list[tuple[int, bool]]) -> None:
    tracker = SequenceTracker()
    taken = []
    for seq, numbered in drawn:
        item = event(seq, numbered=numbered)
        if not tracker.is_old(item):
            tracker.take(item)
            taken.append((seq, numbered))
    counted = [seq for seq, numbered in taken if numbered]
    assert counted == sorted(set(counted))
    assert [seq for seq, _ in taken] == sorted(seq for seq, _ in taken)


def test_after_a_jump_the_next_status_repairs_the_files_it_shows() -> None:
    pipeline, recorder = recorded("batch-test")
    pipeline.add_processing_file("one")
    pipeline.complete_file("one", False, error="no")
    pipeline.add_processing_file("two")
    tracker = SequenceTracker()
    late = recorder.changes[-1]
    assert tracker.take(late) == [late]
    items = tracker.take(core_of(pipeline).status_event())
    assert items[0] == FileReset("batch-test", in_flight=True)
    rows = [item for item in items if isinstance(item, FileRepair)]
    assert [(row.file.name, row.status) for row in rows] == [("one", FileStatus.FAILED), ("two", FileStatus.PROCESSING)]
    assert isinstance(items[-1], PipelineEvent)
    assert (items[-1].name, items[-1].numbered) == (STATUS, False)
    assert len(tracker.take(core_of(pipeline).status_event())) == 1  # repaired once only


def test_with_more_files_in_flight_than_a_status_shows_none_is_reset() -> None:
    pipeline, _ = recorded("batch-test")
    for n in range(101):
        pipeline.add_processing_file(str(n))
    assert SequenceTracker().take(core_of(pipeline).status_event())[0] == FileReset("batch-test", in_flight=False)


def test_a_gap_is_a_numbered_event_with_a_mark() -> None:
    pipeline, _ = recorded("batch-test")
    pipeline.update(status="running")
    gap = SequenceTracker().take(core_of(pipeline).status_event(), gap=True)[-1]
    assert isinstance(gap, PipelineEvent)
    assert gap.numbered
    assert '"gap":true' in encode_payload(gap)
    assert gap.payload()["status"] == "running"
