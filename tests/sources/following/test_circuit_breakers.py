from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.following import circuit_breakers
from rag_pipeline.sources.following.circuit_breakers import (
    BLAME_AFTER,
    FIRST_WAIT_SECONDS,
    MAX_WAIT_SECONDS,
    CircuitBreakers,
)

DOWN = ConnectionError("no endpoint")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> CircuitBreakers:
    return CircuitBreakers(clock=clock)


def test_no_job_is_held_while_all_dependencies_work(breakers: CircuitBreakers) -> None:
    breakers.succeeded("store", "a")
    assert not breakers.holds()
    assert (breakers.open_circuit, breakers.trips) == (None, 0)


def test_one_trial_job_runs_when_the_wait_is_over(breakers: CircuitBreakers, clock: Clock) -> None:
    assert not breakers.trip("store", DOWN, "a")
    assert breakers.open_circuit is not None
    assert (breakers.open_circuit.dependency, breakers.open_circuit.message) == ("store", "no endpoint")
    assert breakers.holds()
    clock.now += FIRST_WAIT_SECONDS
    assert [breakers.holds(), breakers.holds()] == [False, True]
    breakers.begin("b")
    breakers.trip("store", DOWN, "b")
    breakers.end("b")
    clock.now += FIRST_WAIT_SECONDS
    assert breakers.holds(), "the second wait is longer"
    clock.now += FIRST_WAIT_SECONDS
    assert not breakers.holds()
    breakers.begin("a")
    breakers.succeeded("store", "a")
    breakers.end("a")
    assert not breakers.holds()
    assert breakers.open_circuit is None


def test_a_trial_without_a_result_allows_another_trial(breakers: CircuitBreakers, clock: Clock) -> None:
    breakers.trip("store", DOWN, "a")
    clock.now += FIRST_WAIT_SECONDS
    assert not breakers.holds()
    breakers.begin("b")
    breakers.end("b")
    assert [breakers.holds(), breakers.holds()] == [False, True]


def test_waits_grow_to_the_longest_and_retries_never_end(breakers: CircuitBreakers, clock: Clock) -> None:
    for _ in range(200):
        breakers.trip("store", DOWN, "a")
        clock.now += MAX_WAIT_SECONDS
        assert not breakers.holds()
        breakers.begin("a")
        breakers.end("a")
    breakers.trip("store", DOWN, "a")
    clock.now += MAX_WAIT_SECONDS - 1
    assert breakers.holds()


def test_late_failures_do_not_lengthen_the_wait(breakers: CircuitBreakers, clock: Clock) -> None:
    for file_id in "abcdefgh":
        breakers.trip("store", DOWN, file_id)
    assert breakers.trips == 1
    clock.now += FIRST_WAIT_SECONDS
    assert not breakers.holds()


def test_a_file_is_to_blame_if_others_pass_in_between(breakers: CircuitBreakers) -> None:
    blamed = []
    for _ in range(BLAME_AFTER):
        blamed.append(breakers.trip("embedding", DOWN, "bad"))
        breakers.succeeded("embedding", "good")
    assert blamed == [False] * (BLAME_AFTER - 1) + [True]


def test_a_file_that_may_not_be_the_cause_is_never_to_blame(breakers: CircuitBreakers) -> None:
    for _ in range(10):
        assert not breakers.trip("machine", DOWN, "a", may_blame=False)
        breakers.succeeded("machine", "b")


def test_no_file_is_to_blame_while_nothing_passes(breakers: CircuitBreakers) -> None:
    assert not any(breakers.trip("embedding", DOWN, file_id) for _ in range(50) for file_id in "ab")


def test_the_number_of_remembered_files_is_bounded(breakers: CircuitBreakers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breakers, "MAX_REMEMBERED_FILES", 3)
    for number in range(100):
        breakers.trip("store", DOWN, str(number))
    assert len(breakers._breakers["store"].blamed) == 3


def test_each_dependency_has_its_own_breaker(breakers: CircuitBreakers, clock: Clock) -> None:
    breakers.trip("store", DOWN, "a")
    clock.now += 1
    breakers.trip("embedding", OSError("elsewhere"), "b")
    breakers.succeeded("store", "c")
    assert breakers.open_circuit is not None
    assert breakers.open_circuit.dependency == "embedding"
    assert breakers.holds()


def test_due_breakers_can_be_closed_without_a_trial(breakers: CircuitBreakers, clock: Clock) -> None:
    breakers.trip("store", DOWN, "a")
    breakers.close_due()
    assert breakers.open_circuit is not None
    clock.now += FIRST_WAIT_SECONDS
    breakers.close_due()
    assert breakers.open_circuit is None


@given(st.lists(st.tuples(st.sampled_from(["trip", "succeed", "wait", "job", "end"]), st.sampled_from("abc"))))
def test_in_any_order_of_calls_only_one_trial_runs(steps: list[tuple[str, str]]) -> None:
    clock = Clock()
    breakers, under_way = CircuitBreakers(clock=clock), set[str]()
    trials = 0
    for step, file_id in steps:
        match step:
            case "trip":
                breakers.trip("store", DOWN, file_id)
            case "succeed":
                breakers.succeeded("store", file_id)
            case "wait":
                clock.now += MAX_WAIT_SECONDS
            case "job" if file_id not in under_way:
                is_open = breakers.open_circuit is not None
                if not breakers.holds():
                    breakers.begin(file_id)
                    under_way.add(file_id)
                    trials = trials + 1 if is_open else 0
            case "end":
                breakers.end(file_id)
                under_way.discard(file_id)
                trials = 0
        assert trials <= 1
    for file_id in under_way:
        breakers.end(file_id)
    clock.now += MAX_WAIT_SECONDS
    assert not breakers.holds(), "it never holds for ever"
