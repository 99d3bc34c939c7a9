from __future__ import annotations

from rag_pipeline.sources.following.schedule import PAUSE_SECONDS, SHARE, ScanSchedule


def looked(schedule: ScanSchedule, began: float = 100.0, ended: float = 100.0, wait: float | None = None) -> float:
    schedule.begin()
    return schedule.end(began, ended, wait)


def test_the_first_look_is_due_at_once_and_the_next_after_the_interval() -> None:
    schedule = ScanSchedule(10.0)
    assert schedule.is_due(100.0)
    assert looked(schedule) == 10.0
    assert not schedule.is_due(109.9)
    assert schedule.is_due(110.0)


def test_a_hint_is_followed_soon_but_not_so_often_that_looking_is_all_there_is() -> None:
    schedule = ScanSchedule(100.0)
    looked(schedule, 100.0, 102.0)
    schedule.wake()
    assert not schedule.is_due(102.0 + 2 * SHARE - 0.1)
    assert schedule.is_due(102.0 + 2 * SHARE)
    schedule.begin()
    schedule.end(122.0, 122.0)
    assert not schedule.is_due(150.0)


def test_who_asks_gets_a_look_at_once_and_one() -> None:
    schedule = ScanSchedule(100.0)
    looked(schedule, 100.0, 102.0)
    schedule.request()
    assert schedule.is_due(102.0)
    looked(schedule, 102.0, 102.0)
    assert not schedule.is_due(103.0)


def test_what_is_asked_while_a_look_goes_on_is_for_the_next_one() -> None:
    schedule = ScanSchedule(100.0)
    schedule.begin()
    schedule.request()
    schedule.end(100.0, 100.0)
    assert schedule.is_due(100.0)


def test_a_file_that_is_due_brings_the_next_look_forward_and_never_puts_it_off() -> None:
    assert looked(ScanSchedule(10.0), wait=3.0) == 3.0
    assert looked(ScanSchedule(10.0), wait=0.0) == PAUSE_SECONDS
    assert looked(ScanSchedule(10.0), wait=3000.0) == 10.0


def test_in_trouble_the_wait_the_source_asks_for_is_kept_whatever_is_hinted() -> None:
    schedule = ScanSchedule(10.0)
    schedule.begin()
    assert schedule.back_off(100.0, 60.0) == 60.0
    schedule.wake()
    assert not schedule.is_due(159.9)
    assert schedule.is_due(160.0)


def test_in_trouble_of_unknown_length_a_hint_is_welcome() -> None:
    schedule = ScanSchedule(10.0)
    schedule.begin()
    assert schedule.back_off(100.0, None) == 10.0
    assert not schedule.is_due(109.0)
    schedule.wake()
    assert schedule.is_due(101.0)
