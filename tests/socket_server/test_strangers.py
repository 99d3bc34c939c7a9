"""Which sessions are ended for being in no namespace, on a clock of the test's."""

from __future__ import annotations

from rag_pipeline.socket_server.strangers import SESSIONS_A_TURN, Strangers


class Sessions:
    """Sessions, of which some have joined."""

    def __init__(self, *names: str) -> None:
        self.there = list(names)
        self.joined: set[str] = set()
        self.ended: list[str] = []
        self.strangers = Strangers(lambda: self.there, self.joined.__contains__, self.end)

    def end(self, name: str) -> None:
        self.ended.append(name)
        self.there.remove(name)

    def turns(self, begin: int, end: int) -> None:
        for now in range(begin, end):
            self.strangers.turn(float(now), 45.0)


def test_a_session_that_joins_nothing_is_ended_after_its_time() -> None:
    sessions = Sessions("stranger", "member")
    sessions.joined.add("member")
    sessions.turns(0, 45)
    assert sessions.ended == []
    sessions.turns(45, 46)
    assert sessions.ended == ["stranger"]
    sessions.turns(46, 200)
    assert sessions.there == ["member"]


def test_one_that_joins_in_time_stays_and_its_time_begins_anew_when_it_leaves() -> None:
    sessions = Sessions("late")
    sessions.turns(0, 40)
    sessions.joined.add("late")
    sessions.turns(40, 100)
    sessions.joined.remove("late")
    sessions.turns(100, 145)
    assert sessions.ended == []
    sessions.turns(145, 146)
    assert sessions.ended == ["late"]


def test_one_that_ends_by_itself_is_forgotten() -> None:
    sessions = Sessions("brief")
    sessions.turns(0, 10)
    sessions.there.clear()
    sessions.turns(10, 100)
    assert sessions.ended == []
    assert sessions.strangers._since == {}


def test_many_are_looked_at_a_slice_at_a_time() -> None:
    sessions = Sessions(*(f"s{number}" for number in range(3 * SESSIONS_A_TURN)))
    sessions.turns(0, 45)
    looked_at = len(sessions.ended)
    sessions.turns(45, 46)
    assert len(sessions.ended) - looked_at <= SESSIONS_A_TURN
    sessions.turns(46, 60)
    assert sessions.there == []
