"""The script is data that makes sense: in order, three files at a time, everything that starts ends."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.demo.script import CHECK_INTERVAL_SECONDS, DURATION_SECONDS, STAGES, WORKERS, hour
from rag_pipeline.cli.demo.steps import (
    CheckBegins,
    Complete,
    Delete,
    DemoDocument,
    Fail,
    Idle,
    Progress,
    Skip,
    Start,
    Update,
)

pytestmark = pytest.mark.slow

seeds = st.integers(0, 10_000)


def test_the_same_seed_gives_the_same_hour_and_another_seed_another() -> None:
    assert hour() == hour()
    assert hour(1) == hour(1) != hour(2)


@given(seeds)
def test_steps_are_in_order_of_time_within_the_hour(seed: int) -> None:
    times = [step.at for step in hour(seed)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < DURATION_SECONDS


@given(seeds)
def test_every_file_that_starts_ends_and_three_at_most_are_in_flight(seed: int) -> None:
    in_flight: set[DemoDocument] = set()
    most = 0
    for _, action in hour(seed):
        if isinstance(action, Start):
            assert action.file not in in_flight
            in_flight.add(action.file)
        elif isinstance(action, Progress):
            assert action.file in in_flight
        elif isinstance(action, Complete | Fail):
            in_flight.remove(action.file)
        elif isinstance(action, Skip):
            in_flight.discard(action.file)
        elif isinstance(action, Idle):
            assert not in_flight
        most = max(most, len(in_flight))
    assert most == WORKERS
    assert not in_flight


@given(seeds)
def test_progress_goes_through_the_stages_and_rises_in_each(seed: int) -> None:
    order = [name for name, _ in STAGES]
    last: dict[DemoDocument, tuple[int, float]] = {}
    for _, action in hour(seed):
        if isinstance(action, Start):
            last[action.file] = (0, 0.0)
        elif isinstance(action, Progress):
            place = order.index(action.stage), action.fraction
            assert last[action.file] <= place
            assert 0 <= action.fraction <= 1
            last[action.file] = place
        elif isinstance(action, Complete):
            assert last[action.file] == (len(order) - 1, 1.0)
        elif isinstance(action, Fail):
            assert order[last[action.file][0]] == action.error["stage"]


@given(seeds)
def test_each_announced_check_comes_when_it_was_announced(seed: int) -> None:
    announced: list[float] = []
    begun: list[float] = []
    for at, action in hour(seed):
        if isinstance(action, Idle):
            assert at < action.next_check_at
            assert action.interval == CHECK_INTERVAL_SECONDS
            announced.append(action.next_check_at)
        elif isinstance(action, CheckBegins):
            begun.append(at)
    assert announced == [*begun[1:], DURATION_SECONDS]


@given(seeds)
def test_the_queue_is_never_negative_and_empty_when_idle(seed: int) -> None:
    queued: int | None = None
    for _, action in hour(seed):
        if isinstance(action, Update):
            queued = action.fields.get("files_queued", queued)
            assert queued is None or queued >= 0
        elif isinstance(action, Idle):
            assert queued == 0


def test_the_hour_has_something_of_everything() -> None:
    steps = [step.action for step in hour()]
    states = [a.fields["status"] for a in steps if isinstance(a, Update) and "status" in a.fields]
    assert set(states) == {"initializing", "processing", "paused", "error"}
    kinds = Counter(type(a) for a in steps)
    assert kinds[Complete] > 50
    assert kinds[Delete] == 1
    assert kinds[Skip] >= 2
    failed = [a for a in steps if isinstance(a, Fail)]
    assert {a.error["retryable"] for a in failed} == {True, False}
    done = {a.file for a in steps if isinstance(a, Complete)}
    assert all((a.file in done) == a.error["retryable"] for a in failed)
    assert states.index("error") < len(states) - 1  # it recovers
