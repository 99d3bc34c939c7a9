"""Waiting times: bounded, in both forms of Retry-After, spread evenly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.embed.backoff import MAX_RETRY_AFTER_SECONDS, delay_before, full_jitter, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


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
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=60))
def test_any_header_gives_a_bounded_wait_or_none(header: str) -> None:
    seconds = retry_after(header)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, 10_000))
def test_jitter_is_drawn_from_zero_to_the_capped_power(attempt: int) -> None:
    low = full_jitter(attempt, base_seconds=0.5, cap_seconds=30, uniform=lambda a, _: a)
    high = full_jitter(attempt, base_seconds=0.5, cap_seconds=30, uniform=lambda _, b: b)
    assert low == 0
    assert high == min(30, 0.5 * 2 ** min(attempt, 60))


def test_the_servers_wish_is_the_least() -> None:
    assert 7 <= delay_before(3, "7", base_seconds=0.5, cap_seconds=30) <= 8
