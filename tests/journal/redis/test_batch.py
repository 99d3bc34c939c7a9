from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import STATUS, Event
from rag_pipeline.journal import FileStatus, encode_payload
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.batch import BatchWriter, Continuity, Line, Reset, Row
from rag_pipeline.journal.redis.connection import Link
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.journal.redis.lease import Holder
from rag_pipeline.status import core_of
from rag_pipeline.status.model import FileBody, FileRecord
from tests.journal.driving import recorded


def event(seq: int, *, numbered: bool = True, epoch: str = "e", pipeline_id: str = "p") -> Event:
    body = FileBody(FileRecord("a", None))
    return Event("pipeline:file_progress", ("/pipeline",), pipeline_id, None, epoch, seq, 1.0, body, numbered)


def test_each_batch_has_a_number_of_its_own_and_knows_its_pipelines() -> None:
    link = Link(Address("redis://127.0.0.1:1"))
    writer = BatchWriter(link, Keys(), Holder(Keys()))
    first = writer.batch([Line.of(item) for item in (event(1), event(1, pipeline_id="q"), event(2))])
    assert (first.number, first.pipeline_ids) == (1, ["p", "q"])
    assert writer.batch([]).number == 2


def test_events_that_follow_on_are_taken_as_they_are() -> None:
    continuity = Continuity()
    for item in (event(1), event(2), event(2, numbered=False), event(3), event(1, pipeline_id="q")):
        assert not continuity.is_old(item)
        assert not continuity.misses(item)
        assert continuity.take(item) == [item]


def test_what_was_taken_already_is_old_but_a_status_of_the_same_moment_is_not() -> None:
    continuity = Continuity()
    continuity.take(event(5))
    assert continuity.is_old(event(5))
    assert continuity.is_old(event(4, numbered=False))
    assert not continuity.is_old(event(5, numbered=False))
    assert not continuity.is_old(event(1, epoch="another"))


def test_a_jump_is_noticed_in_an_event_and_in_a_status_that_sums_up() -> None:
    continuity = Continuity()
    assert not continuity.misses(event(7))  # the first that is seen
    continuity.take(event(5))
    assert continuity.misses(event(7))
    assert continuity.misses(event(6, numbered=False))
    assert not continuity.misses(event(9, epoch="another"))


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans())))
def test_no_numbered_event_is_taken_twice_or_out_of_order(drawn: list[tuple[int, bool]]) -> None:
    continuity = Continuity()
    taken = []
    for seq, numbered in drawn:
        item = event(seq, numbered=numbered)
        if not continuity.is_old(item):
            continuity.take(item)
            taken.append((seq, numbered))
    counted = [seq for seq, numbered in taken if numbered]
    assert counted == sorted(set(counted))
    assert [seq for seq, _ in taken] == sorted(seq for seq, _ in taken)


def test_after_a_jump_the_next_status_brings_the_files_it_shows() -> None:
    pipeline, recorder = recorded("batch-test")
    pipeline.add_processing_file("one")
    pipeline.complete_file("one", False, error="no")
    pipeline.add_processing_file("two")
    continuity = Continuity()
    late = recorder.changes[-1]
    assert continuity.take(late) == [late]
    items = continuity.take(core_of(pipeline).status_event())
    assert items[0] == Reset("batch-test", in_flight=True)
    rows = [item for item in items if isinstance(item, Row)]
    assert [(row.file.name, row.status) for row in rows] == [("one", FileStatus.FAILED), ("two", FileStatus.PROCESSING)]
    assert isinstance(items[-1], Event)
    assert (items[-1].name, items[-1].numbered) == (STATUS, False)
    assert len(continuity.take(core_of(pipeline).status_event())) == 1  # once is enough


def test_of_more_files_in_flight_than_a_status_shows_none_is_forgotten() -> None:
    pipeline, _ = recorded("batch-test")
    for n in range(101):
        pipeline.add_processing_file(str(n))
    assert Continuity().take(core_of(pipeline).status_event())[0] == Reset("batch-test", in_flight=False)


def test_a_gap_is_an_event_and_says_so() -> None:
    pipeline, _ = recorded("batch-test")
    pipeline.update(status="running")
    gap = Continuity().take(core_of(pipeline).status_event(), gap=True)[-1]
    assert isinstance(gap, Event)
    assert gap.numbered
    assert '"gap":true' in encode_payload(gap)
    assert gap.payload()["status"] == "running"
