from __future__ import annotations

import threading

import pytest

from rag_pipeline.client import AccessDeniedError, Event, EventStream, SlowConsumerError, WaitTimeoutError

ONE, TWO, THREE = (Event("pipeline:status", {"seq": number}) for number in (1, 2, 3))


def stream(limit: int = 10, timeout: float | None = None) -> EventStream:
    return EventStream(threading.Condition(), limit, timeout)


def test_waiting_events_are_read_in_order_before_the_end() -> None:
    events = stream()
    events.put(ONE)
    events.put(TWO)
    events.end(None)
    events.put(THREE)
    assert list(events) == [ONE, TWO]
    assert events.pending() == []


def test_pending_returns_all_without_blocking() -> None:
    events = stream()
    assert events.pending() == []
    events.put(ONE)
    events.put(TWO)
    assert events.pending() == [ONE, TWO]
    assert events.pending() == []


def test_a_timeout_raises_and_reading_can_go_on() -> None:
    events = stream(timeout=0.01)
    with pytest.raises(TimeoutError):
        next(events)
    with pytest.raises(WaitTimeoutError, match=r"within 0\.01 seconds"):
        next(events)
    events.put(ONE)
    assert next(events) == ONE


def test_a_slow_reader_gets_the_kept_events_and_then_the_error() -> None:
    events = stream(limit=2)
    for event in (ONE, TWO, THREE):
        events.put(event)
    assert events.pending() == [ONE, TWO]
    with pytest.raises(SlowConsumerError, match="more than 2 events"):
        events.pending()
    with pytest.raises(SlowConsumerError):
        next(events)


def test_a_refusal_ends_the_stream_with_the_error() -> None:
    events = stream()
    events.end(AccessDeniedError("no", code="token_missing"))
    with pytest.raises(AccessDeniedError):
        next(events)


def test_close_ends_a_blocked_read() -> None:
    events = stream()
    seen: list[list[Event]] = []
    reader = threading.Thread(target=lambda: seen.append(list(events)))
    reader.start()
    events.close()
    reader.join(60)
    assert seen == [[]]
