from __future__ import annotations

import time

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.journal.redis.queue import SLOT_BYTES, EventQueue, slots_of
from rag_pipeline.status import FlushRequest, PipelineStatus, core_of
from rag_pipeline.status.model import FileBody, FileRecord


def event(seq: int, pipeline_id: str = "p", *, numbered: bool = True) -> Event:
    body = FileBody(FileRecord("a", None))
    return Event("pipeline:file_progress", ("/pipeline",), pipeline_id, None, "e", seq, 1.0, body, numbered)


def taken(queue: EventQueue) -> list[int]:
    found = []
    while (item := queue.take()) is not None:
        found.append(item.seq)
    return found


def test_events_come_out_as_they_went_in() -> None:
    queue = EventQueue(native.AutoResetEvent())
    for seq in range(5):
        queue.publish(event(seq))
    assert len(queue) == 5
    assert taken(queue) == [0, 1, 2, 3, 4]


def test_over_the_limit_the_oldest_go_and_their_pipelines_are_known() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=3)
    queue.publish(event(1, "p"))
    queue.publish(event(2, "q", numbered=False))
    for seq in range(3, 6):
        queue.publish(event(seq, "r"))
    assert queue.dropped == 2
    torn = [queue.is_torn]
    assert queue.torn() == {"p"}  # what only summed up is not missed
    assert [*torn, queue.is_torn] == [True, False]
    assert taken(queue) == [3, 4, 5]


def test_many_events_make_one_wake_up() -> None:
    signal = native.AutoResetEvent()
    queue = EventQueue(signal)
    for seq in range(100):
        queue.publish(event(seq))
    assert signal.wait(0)
    assert not signal.wait(0)
    queue.rearm()
    queue.publish(event(100))
    assert signal.wait(0)


def test_requests_and_releases_are_kept_apart_from_the_events_and_not_dropped() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=1)
    request = FlushRequest(lambda: None, time.monotonic())
    queue.publish(request)
    for _ in range(2):
        queue.release("p")
    for seq in range(3):
        queue.publish(event(seq))
    assert queue.flush_requests() == [request]
    assert queue.releases() == ["p"]
    assert (queue.flush_requests(), queue.releases()) == ([], [])


def test_a_closed_queue_takes_nothing() -> None:
    queue = EventQueue(native.AutoResetEvent())
    queue.close()
    queue.publish(event(1))
    assert len(queue) == 0


def big(seq: int, size: int) -> Event:
    body = FileBody(FileRecord("a", None, result={"text": ["x" * (size // 2), {"more": "x" * (size // 2)}]}))
    return event(seq)._replace(body=body)


def test_the_bound_is_one_of_bytes_too() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=100)
    for seq in range(1000):
        queue.publish(big(seq, 10 * SLOT_BYTES))
    assert len(queue) == 9  # each takes a little more than ten slots
    assert queue.dropped == 991
    assert taken(queue) == list(range(991, 1000))
    assert not queue


def test_an_event_over_the_bound_is_dropped_and_those_after_it_are_kept() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=100)
    queue.publish(event(1))
    queue.publish(big(2, 200 * SLOT_BYTES))
    for seq in range(3, 10):
        queue.publish(event(seq))
    assert queue.torn() == {"p"}
    assert taken(queue)[-7:] == list(range(3, 10))


def test_what_is_parked_counts_too() -> None:
    queue = EventQueue(native.AutoResetEvent(), limit=10)
    queue.parked = 7
    for seq in range(6):
        queue.publish(event(seq))
    assert taken(queue) == [3, 4, 5]


def test_fields_of_the_users_own_count_where_they_were_set() -> None:
    pipeline = PipelineStatus(pipeline_id="queue-own")
    pipeline.update(own={"mine": "x" * 5 * SLOT_BYTES})
    status = core_of(pipeline).status_event()
    assert (slots_of(status._replace(numbered=True)), slots_of(status)) == (6, 1)
