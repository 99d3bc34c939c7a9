from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.journal import offset_of, parse_offset
from rag_pipeline.journal.redis.keys import (
    MAX_POSITION,
    id_of,
    position_of,
    score_of,
)  # fmt: skip

halves = st.integers(0, 2**64 - 1)


@given(halves, halves)
def test_an_entry_id_and_its_position_are_equivalent(ms: int, seq: int) -> None:
    entry_id = f"{ms}-{seq}"
    assert id_of(position_of(entry_id)) == entry_id


@given(halves, halves, halves, halves)
def test_positions_have_the_order_of_the_ids(ms: int, seq: int, other_ms: int, other_seq: int) -> None:
    lower = position_of(f"{ms}-{seq}") < position_of(f"{other_ms}-{other_seq}")
    assert lower == ((ms, seq) < (other_ms, other_seq))


@given(halves, halves)
def test_every_position_fits_an_offset(ms: int, seq: int) -> None:
    position = position_of(f"{ms}-{seq}")
    assert parse_offset(offset_of("0123456789abcdef", position)) == ("0123456789abcdef", position)


@given(st.integers())
def test_a_position_outside_the_range_of_ids_is_clamped(position: int) -> None:
    assert position_of(id_of(position)) == max(0, min(position, MAX_POSITION))


@given(st.integers(0, 2**41 - 1), st.integers(0, 4095))
def test_a_score_is_exact_as_a_double_until_2039(ms: int, seq: int) -> None:
    score = score_of(position_of(f"{ms}-{seq}"))
    assert int(float(score)) == score
    assert (score // 4096, score % 4096) == (ms, seq)
