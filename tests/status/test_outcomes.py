"""The outcome table, against a dict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.outcomes import DELETED, NONE, OutcomeTable, PackedTable

OUTCOMES = st.integers(NONE, DELETED)


@given(st.lists(st.tuples(st.integers(0, 60), OUTCOMES), max_size=400), st.integers(1, 20))
def test_the_table_has_the_newest_outcome_of_every_file(steps: list[tuple[int, int]], young: int) -> None:
    table, model = OutcomeTable(young), dict[Key, int]()
    for number, outcome in steps:
        key = key_of(f"file {number}", None)
        table.set(key, outcome)
        model[key] = outcome
    for number in range(70):
        key = key_of(f"file {number}", None)
        assert table.get(key) == model.get(key, NONE)


@pytest.mark.slow
@given(st.dictionaries(st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: n << 3 >> 3), OUTCOMES, max_size=300))
def test_the_packed_table_distinguishes_hashes_that_share_a_slot(model: dict[int, int]) -> None:
    table = PackedTable()
    by_word = {hashed >> 3: (hashed, outcome) for hashed, outcome in model.items() if hashed >> 3 not in (0, 1)}
    for hashed, outcome in by_word.values():
        table.set(hashed, outcome)
    for hashed, outcome in by_word.values():
        assert table.get(hashed) == outcome


def test_the_packed_table_grows_and_keeps_its_entries() -> None:
    table = OutcomeTable(young=100)
    for number in range(20_000):
        table.set(key_of(f"f{number}", None), 1 + number % 4)
    assert all(table.get(key_of(f"f{number}", None)) == 1 + number % 4 for number in range(20_000))
    assert all(table.get(key_of(f"g{number}", None)) == NONE for number in range(1_000))
