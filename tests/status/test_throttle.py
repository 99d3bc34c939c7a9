from __future__ import annotations

from rag_pipeline.status.throttle import NEVER, STATUS_DELAY_SECONDS, STATUS_INTERVAL_SECONDS, StatusThrottle


def test_a_status_is_owed_within_100_ms_of_the_first_file_event() -> None:
    throttle = StatusThrottle()
    for moment in (10.0, 10.01, 10.02):
        throttle = throttle.owing_status(moment)
    assert throttle.status_due == 10.0 + STATUS_DELAY_SECONDS
    assert not throttle.owes_status(10.03)
    assert throttle.owes_status(10.1)


def test_two_statuses_keep_their_distance() -> None:
    throttle = StatusThrottle().after_status(10.0).owing_status(10.001)
    assert throttle.status_due == 10.0 + STATUS_INTERVAL_SECONDS


def test_a_status_clears_the_owed_one() -> None:
    throttle = StatusThrottle().owing_status(10.0).after_status(10.01)
    assert throttle.status_due == NEVER
    assert not throttle.owes_status(99.0)


def test_one_flush_is_planned_unless_an_earlier_one_is_needed() -> None:
    throttle = StatusThrottle()
    assert throttle.needs_flush(10.5, 10.0)
    throttle = throttle.flushing_at(10.5)
    assert not throttle.needs_flush(10.9, 10.0)
    assert throttle.needs_flush(10.2, 10.0)


def test_a_lost_flush_is_planned_again() -> None:
    throttle = StatusThrottle().flushing_at(10.1)
    assert not throttle.needs_flush(12.0, 10.5)
    assert throttle.needs_flush(12.1, 12.0)
