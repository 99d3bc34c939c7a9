"""Limits that no file could meet are refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.extract.limits import ExtractionLimits


@pytest.mark.parametrize("name", [field.name for field in fields(ExtractionLimits)])
@pytest.mark.parametrize("value", [0, -1, True, "9", float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(name: str, value: object) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError, match=f"{name}={value!r}"):
        ExtractionLimits(**arguments)


def test_a_worker_counts_as_stuck_long_after_its_time() -> None:
    assert ExtractionLimits(time_seconds=120).wall_seconds == 1260
