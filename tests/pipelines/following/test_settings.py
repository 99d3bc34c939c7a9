"""What every kind of source reads from the environment."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.pipelines.following.settings import read_check_interval, read_workers


def test_what_is_not_set_is_the_kinds_own_default() -> None:
    assert (read_check_interval({}, 60.0), read_workers({}, 4)) == (60.0, 4)
    env = {"RAG_CHECK_INTERVAL": "0.5", "RAG_WORKERS": "64"}
    assert (read_check_interval(env, 60.0), read_workers(env, 4)) == (0.5, 64)


@pytest.mark.parametrize("value", ["0.05", "86401", "soon"])
def test_an_interval_out_of_bounds_is_one_line(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_check_interval({"RAG_CHECK_INTERVAL": value}, 10.0)
    assert str(caught.value) == f"RAG_CHECK_INTERVAL={value!r}: expected a number from 0.1 to 86400"


@pytest.mark.parametrize("value", ["0", "65", "2.5"])
def test_a_number_of_workers_out_of_bounds_is_one_line(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_workers({"RAG_WORKERS": value}, 2)
    assert str(caught.value) == f"RAG_WORKERS={value!r}: expected a whole number from 1 to 64"
