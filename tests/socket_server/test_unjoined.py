"""The sessions that are ended because they are in no namespace, on a fake clock."""

from __future__ import annotations

from rag_pipeline.socket_server.unjoined import ENDED_A_TURN, LIMIT_SECONDS, MIN_SECONDS, UnjoinedSessions


class Sessions:
    """Unjoined and joined sessions."""

    def __init__(self, *names: str) -> None:
        self.members: set[str] = set()
        self.ended: list[str] = []
        self.unjoined = UnjoinedSessions(self.members.__contains__, self.ended.append)
        for name in names:
            self.unjoined.add(name, 0.0)


def test_an_unjoined_session_is_ended_after_the_limit() -> None:
    sessions = Sessions("unjoined", "member")
    sessions.unjoined.discard("member")
    sessions.unjoined.turn(LIMIT_SECONDS - 1)
    assert sessions.ended == []
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert sessions.ended == ["unjoined"]
    assert len(sessions.unjoined) == 0


def test_the_limit_restarts_when_a_session_leaves_a_namespace() -> None:
    sessions = Sessions("late")
    sessions.unjoined.discard("late")
    sessions.unjoined.add("late", 100.0)
    sessions.unjoined.turn(100 + LIMIT_SECONDS - 1)
    assert sessions.ended == []
    sessions.unjoined.turn(100 + LIMIT_SECONDS)
    assert sessions.ended == ["late"]


def test_a_session_that_is_in_another_namespace_stays() -> None:
    sessions = Sessions("member")
    sessions.members.add("member")
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert sessions.ended == []
    assert len(sessions.unjoined) == 0


def test_over_the_bound_the_oldest_is_ended_after_its_minimum_time() -> None:
    sessions = Sessions("first", "second")
    assert sessions.unjoined.has_room(0.5, limit=3)
    assert not sessions.unjoined.has_room(0.5, limit=2)
    assert sessions.ended == []
    assert sessions.unjoined.has_room(MIN_SECONDS, limit=2)
    assert sessions.ended == ["first"]


def test_the_minimum_time_can_be_shorter_for_a_transport() -> None:
    sessions = Sessions()
    sessions.unjoined = UnjoinedSessions(sessions.members.__contains__, sessions.ended.append, 0.3)
    sessions.unjoined.add("first", 0.0)
    assert not sessions.unjoined.end_oldest(0.2)
    assert sessions.unjoined.end_oldest(0.3)


def test_joined_sessions_are_skipped() -> None:
    sessions = Sessions("member", "unjoined")
    sessions.members.add("member")
    assert sessions.unjoined.end_oldest(MIN_SECONDS)
    assert sessions.ended == ["unjoined"]
    assert not sessions.unjoined.end_oldest(MIN_SECONDS)


def test_many_sessions_are_ended_in_several_turns() -> None:
    sessions = Sessions(*(f"s{number}" for number in range(2 * ENDED_A_TURN)))
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert len(sessions.ended) == ENDED_A_TURN
    sessions.unjoined.turn(LIMIT_SECONDS)
    assert len(sessions.unjoined) == 0
