from __future__ import annotations

import time

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.redis.queue import SLOT_BYTES, EventQueue, slots_of
from rag_pipeline.status.model import FileBody, FileRecord
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.sinks import DueFlush


def event(seq: int, pipeline_id: str = "p", *, numbered: bool = True) -> PipelineEvent:
    body = FileBody(FileRecord("a", None))
    return PipelineEvent("pipeline:file_progress", ("/pipeline",), pipeline_id, None, "e", seq, 1.0, body, numbered)


def taken(queue: EventQueue) -> list[int]:
    found = []
    while (item := queue.take()) is not None:
        found.append(item.seq)
    return found


def test_events_are_taken_in_order() -> None:
    queue = EventQueue(native.AutoResetEvent())
    for seq in range(5):
        queue.publish_all(iter((event(seq),)))
    assert len(queue) == 5
    assert taken(queue) == [0, 1, 2, 3, 4]


def test_over_the_limit_the_oldest_are_dropped_and_their_pipelines_are_known() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=3)
    queue.publish_all(iter((event(1, "p"),)))
    queue.publish_all(iter((event(2, "q", numbered=False),)))
    for seq in range(3, 6):
        queue.publish_all(iter((event(seq, "r"),)))
    assert queue.dropped == 2
    before = queue.has_gaps
    assert queue.take_gaps() == {"p"}  # a summary is not missed
    assert (before, queue.has_gaps) == (True, False)
    assert taken(queue) == [3, 4, 5]


def test_many_events_make_one_wake_up() -> None:
    signal = native.AutoResetEvent()
    queue = EventQueue(signal)
    for seq in range(100):
        queue.publish_all(iter((event(seq),)))
    assert signal.wait(0)
    assert not signal.wait(0)
    queue.rearm()
    queue.publish_all(iter((event(100),)))
    assert signal.wait(0)


def test_requests_and_releases_are_separate_from_events_and_never_dropped() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=1)
    request = DueFlush(lambda: None, time.monotonic())
    queue.publish_all(iter((request,)))
    for _ in range(2):
        queue.release("p")
    for seq in range(3):
        queue.publish_all(iter((event(seq),)))
    assert queue.flush_requests() == [request]
    assert queue.releases() == ["p"]
    assert (queue.flush_requests(), queue.releases()) == ([], [])


def test_a_closed_queue_ignores_events() -> None:
    queue = EventQueue(native.AutoResetEvent())
    queue.close()
    queue.publish_all(iter((event(1),)))
    assert len(queue) == 0


def big(seq: int, size: int) -> PipelineEvent:
    body = FileBody(FileRecord("a", None, result={"text": ["x" * (size // 2), {"more": "x" * (size // 2)}]}))
    return event(seq)._replace(body=body)


def test_the_limit_counts_bytes_too() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=100)
    for seq in range(1000):
        queue.publish_all(iter((big(seq, 10 * SLOT_BYTES),)))
    assert len(queue) == 9  # each takes eleven slots
    assert queue.dropped == 991
    assert taken(queue) == list(range(991, 1000))
    assert not queue


def test_an_event_over_the_limit_is_dropped_and_later_ones_are_kept() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=100)
    queue.publish_all(iter((event(1),)))
    queue.publish_all(iter((big(2, 200 * SLOT_BYTES),)))
    for seq in range(3, 10):
        queue.publish_all(iter((event(seq),)))
    assert queue.take_gaps() == {"p"}
    assert taken(queue)[-7:] == list(range(3, 10))


def test_parked_events_count_too() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=10)
    queue.parked = 7
    for seq in range(6):
        queue.publish_all(iter((event(seq),)))
    assert taken(queue) == [3, 4, 5]


def test_own_fields_count_in_the_event_that_set_them() -> None:
    pipeline = PipelineStatus(pipeline_id="queue-own")
    pipeline.update(own={"mine": "x" * 5 * SLOT_BYTES})
    status = core_of(pipeline).status_event()
    assert (slots_of(status._replace(numbered=True)), slots_of(status)) == (6, 1)
