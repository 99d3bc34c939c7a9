"""The status that follows file events: soon, not too often, and asked for once."""

from __future__ import annotations

from rag_pipeline.status import FlushRequest, PipelineStatus
from rag_pipeline.status.publisher import STATUS_DELAY_SECONDS, STATUS_INTERVAL_SECONDS, Publisher
from rag_pipeline.status.state import Moment
from tests.watching import Recorder

pipeline = PipelineStatus("local_files", "publisher-test")
event = pipeline.status_event()


def at(mono: float) -> Moment:
    return Moment(1_700_000_000.0 + mono, mono)


def dues(sink: Recorder) -> list[float]:
    return [item.due for item in sink.items if isinstance(item, FlushRequest)]


def test_a_status_is_owed_soon_after_a_file_event_and_asked_for_once() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    for moment in (10.0, 10.01, 10.02):
        publisher.owe_status(at(moment))
    assert dues(sink) == [10.0 + STATUS_DELAY_SECONDS]
    assert not publisher.status_is_due(at(10.03), early=False)
    assert publisher.status_is_due(at(10.03), early=True)
    assert publisher.status_is_due(at(10.1), early=False)


def test_two_statuses_keep_their_distance() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    publisher.status(event, at(10.0))
    assert not publisher.takes_status(at(10.09))
    publisher.owe_status(at(10.001))
    assert dues(sink) == [10.0 + STATUS_INTERVAL_SECONDS]
    assert publisher.takes_status(at(10.11))


def test_a_status_goes_with_an_event_only_where_someone_listens() -> None:
    publisher = Publisher(pipeline)
    assert not publisher.takes_status(at(10.0))
    publisher.add(Recorder())
    assert publisher.takes_status(at(10.0))


def test_a_status_pays_what_was_owed() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    publisher.owe_status(at(10.0))
    publisher.status(event, at(10.01))
    assert not publisher.status_is_due(at(11.0), early=True)


def test_an_earlier_due_is_asked_for_and_a_later_one_is_not() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    for due in (10.5, 10.9, 10.2):
        publisher.ask_flush(due, at(10.0))
    assert dues(sink) == [10.5, 10.2]


def test_a_request_that_was_lost_is_made_again() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    publisher.ask_flush(10.1, at(10.0))
    publisher.ask_flush(12.1, at(12.0))
    assert dues(sink) == [10.1, 12.1]


def test_what_is_left_after_a_flush_is_asked_for() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    publisher.owe_status(at(10.0))
    publisher.flushed(10.01, at(10.005))
    assert dues(sink)[-1] == 10.01
    publisher.status(event, at(10.1))
    publisher.flushed(None, at(10.1))
    assert len(dues(sink)) == 2


def test_a_flush_before_its_time_leaves_the_request_that_is_under_way() -> None:
    publisher, sink = Publisher(pipeline), Recorder()
    publisher.add(sink)
    publisher.owe_status(at(10.0))
    publisher.flushed(None, at(10.05))
    assert dues(sink) == [10.0 + STATUS_DELAY_SECONDS]
    publisher.flushed(None, at(10.1))
    assert len(dues(sink)) == 2


def test_a_sink_that_is_gone_hears_nothing() -> None:
    publisher, stays, goes = Publisher(pipeline), Recorder(), Recorder()
    publisher.add(stays)
    publisher.add(goes)
    publisher.remove(goes)
    publisher.publish(event)
    assert stays.items == [event]
    assert goes.items == []
    publisher.clear()
    publisher.publish(event)
    assert stays.items == [event]
