"""Which sessions are ended for being in no namespace, on a clock of the test's."""

from __future__ import annotations

from rag_pipeline.socket_server.unjoined import ENDED_A_TURN, LIMIT_SECONDS, MIN_SECONDS, UnjoinedSessions


class Sessions:
    """Sessions, of which some have joined."""

    def __init__(self, *names: str) -> None:
        self.members: set[str] = set()
        self.ended: list[str] = []
        self.unjoined = UnjoinedSessions(self.members.__contains__, self.ended.append)
        for name in names:
            self.unjoined.add(name, 0.0)


def test_a_session_that_joins_nothing_is_ended_after_its_time() -> None:
    sessions = Sessions("unjoined", "member")
    sessions.unjoined.discard("member")
    sessions.unjoined.turn(LIMIT_SECONDS - 1)
    assert sessions.ended == []
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert sessions.ended == ["unjoined"]
    assert len(sessions.unjoined) == 0


def test_the_time_of_one_that_leaves_begins_anew() -> None:
    sessions = Sessions("late")
    sessions.unjoined.discard("late")
    sessions.unjoined.add("late", 100.0)
    sessions.unjoined.turn(100 + LIMIT_SECONDS - 1)
    assert sessions.ended == []
    sessions.unjoined.turn(100 + LIMIT_SECONDS)
    assert sessions.ended == ["late"]


def test_one_that_left_one_namespace_and_is_in_another_stays() -> None:
    sessions = Sessions("member")
    sessions.members.add("member")
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert sessions.ended == []
    assert len(sessions.unjoined) == 0


def test_over_the_bound_the_oldest_goes_once_it_has_had_its_second() -> None:
    sessions = Sessions("first", "second")
    assert sessions.unjoined.has_room(0.5, limit=3)
    assert not sessions.unjoined.has_room(0.5, limit=2)
    assert sessions.ended == []
    assert sessions.unjoined.has_room(MIN_SECONDS, limit=2)
    assert sessions.ended == ["first"]


def test_a_transport_may_give_them_less_time() -> None:
    sessions = Sessions()
    sessions.unjoined = UnjoinedSessions(sessions.members.__contains__, sessions.ended.append, 0.3)
    sessions.unjoined.add("first", 0.0)
    assert not sessions.unjoined.end_oldest(0.2)
    assert sessions.unjoined.end_oldest(0.3)


def test_members_are_passed_over() -> None:
    sessions = Sessions("member", "unjoined")
    sessions.members.add("member")
    assert sessions.unjoined.end_oldest(MIN_SECONDS)
    assert sessions.ended == ["unjoined"]
    assert not sessions.unjoined.end_oldest(MIN_SECONDS)


def test_many_are_ended_a_part_at_a_time() -> None:
    sessions = Sessions(*(f"s{number}" for number in range(2 * ENDED_A_TURN)))
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert len(sessions.ended) == ENDED_A_TURN
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert len(sessions.unjoined) == 0
