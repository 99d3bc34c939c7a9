from __future__ import annotations

from rag_pipeline.sources.following.schedule import PAUSE_SECONDS, SHARE, Timetable


def looked(timetable: Timetable, began: float = 100.0, ended: float = 100.0, wait: float | None = None) -> float:
    timetable.begin()
    return timetable.end(began, ended, wait)


def test_the_first_look_is_due_at_once_and_the_next_after_the_interval() -> None:
    timetable = Timetable(10.0)
    assert timetable.is_due(100.0)
    assert looked(timetable) == 10.0
    assert not timetable.is_due(109.9)
    assert timetable.is_due(110.0)


def test_a_hint_is_followed_soon_but_not_so_often_that_looking_is_all_there_is() -> None:
    timetable = Timetable(100.0)
    looked(timetable, 100.0, 102.0)
    timetable.hint()
    assert not timetable.is_due(102.0 + 2 * SHARE - 0.1)
    assert timetable.is_due(102.0 + 2 * SHARE)
    timetable.begin()
    timetable.end(122.0, 122.0)
    assert not timetable.is_due(150.0)


def test_who_asks_gets_a_look_at_once_and_one() -> None:
    timetable = Timetable(100.0)
    looked(timetable, 100.0, 102.0)
    timetable.ask()
    assert timetable.is_due(102.0)
    looked(timetable, 102.0, 102.0)
    assert not timetable.is_due(103.0)


def test_what_is_asked_while_a_look_goes_on_is_for_the_next_one() -> None:
    timetable = Timetable(100.0)
    timetable.begin()
    timetable.ask()
    timetable.end(100.0, 100.0)
    assert timetable.is_due(100.0)


def test_a_file_that_is_due_brings_the_next_look_forward_and_never_puts_it_off() -> None:
    assert looked(Timetable(10.0), wait=3.0) == 3.0
    assert looked(Timetable(10.0), wait=0.0) == PAUSE_SECONDS
    assert looked(Timetable(10.0), wait=3000.0) == 10.0


def test_in_trouble_the_wait_the_source_asks_for_is_kept_whatever_is_hinted() -> None:
    timetable = Timetable(10.0)
    timetable.begin()
    assert timetable.back_off(100.0, 60.0) == 60.0
    timetable.hint()
    assert not timetable.is_due(159.9)
    assert timetable.is_due(160.0)


def test_in_trouble_of_unknown_length_a_hint_is_welcome() -> None:
    timetable = Timetable(10.0)
    timetable.begin()
    assert timetable.back_off(100.0, None) == 10.0
    assert not timetable.is_due(109.0)
    timetable.hint()
    assert timetable.is_due(101.0)
