from __future__ import annotations

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.following.settings import read_brake, read_check_interval, read_workers


def test_unset_values_get_the_default_of_the_kind() -> None:
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


def test_the_settings_of_the_brake_are_read() -> None:
    assert read_brake({}, confirm_first=False) == BrakeSettings(25, 20.0, False)
    env = {"RAG_DELETE_MAX_FILES": "0", "RAG_DELETE_MAX_PERCENT": "12.5"}
    assert read_brake(env, confirm_first=True) == BrakeSettings(0, 12.5, True)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("RAG_DELETE_MAX_FILES", "-1", "a whole number from 0 to 1000000000"),
        ("RAG_DELETE_MAX_PERCENT", "100.5", "a number from 0 to 100"),
        ("RAG_DELETE_MAX_PERCENT", "20%", "a number from 0 to 100"),
    ],
)
def test_a_limit_of_the_brake_out_of_bounds_is_one_line(key: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_brake({key: value}, confirm_first=False)
    assert str(caught.value) == f"{key}={value!r}: expected {expected}"
