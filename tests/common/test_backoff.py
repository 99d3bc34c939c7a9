from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common.backoff import MAX_RETRY_AFTER_SECONDS, Backoff, parse_retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_delays_double_up_to_the_limit_and_start_over_after_a_reset() -> None:
    backoff = Backoff(0.5, 3)
    assert [backoff.delay() for _ in range(5)] == [0.5, 1, 2, 3, 3]
    backoff.reset()
    assert backoff.delay() == 0.5


def test_the_next_delay_can_be_the_longest_at_once() -> None:
    backoff = Backoff(0.1, 2)
    backoff.skip_to_limit()
    assert backoff.delay() == 2
    backoff.reset()
    assert backoff.delay() == 0.1


@pytest.mark.slow
@given(
    first=st.floats(0.01, 100),
    limit=st.floats(0.01, 100),
    jitter=st.sampled_from([0.0, 0.5, 1.0]),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_jitter_takes_at_most_its_share_and_never_exceeds_the_limit(
    first: float, limit: float, jitter: float, chance: float
) -> None:
    backoff = Backoff(first, limit, jitter=jitter, chance=lambda: chance)
    longest = min(first, limit)
    for _ in range(20):
        assert longest * (1 - jitter) <= backoff.delay() <= longest
        longest = min(2 * longest, limit)


def test_many_attempts_do_not_overflow() -> None:
    backoff = Backoff(0.5, 30, jitter=1.0)
    assert all(0 <= backoff.delay() <= 30 for _ in range(10_000))


@pytest.mark.parametrize("attempts", [0, 3])
def test_a_retry_after_header_sets_the_shortest_delay(attempts: int) -> None:
    backoff = Backoff(0.5, 30, jitter=1.0)
    for _ in range(attempts):
        backoff.delay()
    assert 7 <= backoff.delay("7") <= 8


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("99999", MAX_RETRY_AFTER_SECONDS),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2099 11:00:00 GMT", MAX_RETRY_AFTER_SECONDS),
        (None, None),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("nan", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_gives_a_bounded_delay_or_none(header: str) -> None:
    seconds = parse_retry_after(header)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS
