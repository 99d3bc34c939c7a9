from __future__ import annotations

from rag_pipeline.sources.following.schedule import PAUSE_SECONDS, SHARE, ScanSchedule


def scan(schedule: ScanSchedule, began: float = 100.0, ended: float = 100.0, wait: float | None = None) -> float:
    schedule.begin()
    return schedule.end(began, ended, wait)


def test_the_first_scan_is_due_at_once_and_the_next_after_the_interval() -> None:
    schedule = ScanSchedule(10.0)
    assert schedule.is_due(100.0)
    assert scan(schedule) == 10.0
    assert not schedule.is_due(109.9)
    assert schedule.is_due(110.0)


def test_a_wake_brings_a_scan_soon_but_scans_take_a_tenth_of_the_time_at_most() -> None:
    schedule = ScanSchedule(100.0)
    scan(schedule, 100.0, 102.0)
    schedule.wake()
    assert not schedule.is_due(102.0 + 2 * SHARE - 0.1)
    assert schedule.is_due(102.0 + 2 * SHARE)
    schedule.begin()
    schedule.end(122.0, 122.0)
    assert not schedule.is_due(150.0)


def test_a_request_brings_one_scan_at_once() -> None:
    schedule = ScanSchedule(100.0)
    scan(schedule, 100.0, 102.0)
    schedule.request()
    assert schedule.is_due(102.0)
    scan(schedule, 102.0, 102.0)
    assert not schedule.is_due(103.0)


def test_a_request_during_a_scan_is_for_the_next_one() -> None:
    schedule = ScanSchedule(100.0)
    schedule.begin()
    schedule.request()
    schedule.end(100.0, 100.0)
    assert schedule.is_due(100.0)


def test_a_due_file_can_only_bring_the_next_scan_forward() -> None:
    assert scan(ScanSchedule(10.0), wait=3.0) == 3.0
    assert scan(ScanSchedule(10.0), wait=0.0) == PAUSE_SECONDS
    assert scan(ScanSchedule(10.0), wait=3000.0) == 10.0


def test_a_wake_does_not_shorten_the_wait_that_an_unavailable_source_asks_for() -> None:
    schedule = ScanSchedule(10.0)
    schedule.begin()
    assert schedule.back_off(100.0, 60.0) == 60.0
    schedule.wake()
    assert not schedule.is_due(159.9)
    assert schedule.is_due(160.0)


def test_a_wake_shortens_the_wait_if_the_source_asks_for_none() -> None:
    schedule = ScanSchedule(10.0)
    schedule.begin()
    assert schedule.back_off(100.0, None) == 10.0
    assert not schedule.is_due(109.0)
    schedule.wake()
    assert schedule.is_due(101.0)
