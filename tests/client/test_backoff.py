from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.client.backoff import Backoff


def test_delays_double_up_to_the_limit_and_start_over_when_asked() -> None:
    backoff = Backoff(0.5, 3, chance=lambda: 0.0)
    assert [backoff.delay() for _ in range(5)] == [0.5, 1, 2, 3, 3]
    backoff.reset()
    assert backoff.delay() == 0.5


@given(first=st.floats(0.01, 100), limit=st.floats(0.01, 100), chance=st.floats(0, 1, exclude_max=True))
def test_chance_takes_at_most_half_and_never_leads_over_the_limit(first: float, limit: float, chance: float) -> None:
    backoff = Backoff(first, limit, chance=lambda: chance)
    due = min(first, limit)
    for _ in range(20):
        assert due / 2 <= backoff.delay() <= due
        due = min(2 * due, limit)
