"""Settings that all sources share: their environment variables and limits."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.common.env import read_float, read_int
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings

CHECK_INTERVAL_SECONDS = (0.1, 86_400.0)
WORKERS = (1, 64)
DELETE_MAX_FILES = (0, 1_000_000_000)
DELETE_MAX_PERCENT = (0.0, 100.0)


def read_check_interval(env: Mapping[str, str], default: float) -> float:
    """Return the longest time between two scans, in seconds; raises ConfigurationError."""
    low, high = CHECK_INTERVAL_SECONDS
    return read_float(env, "RAG_CHECK_INTERVAL", default, low=low, high=high)


def read_workers(env: Mapping[str, str], default: int) -> int:
    """Return how many files are ingested at the same time; raises ConfigurationError."""
    low, high = WORKERS
    return read_int(env, "RAG_WORKERS", default, low=low, high=high)


def read_brake(env: Mapping[str, str], *, confirm_first: bool) -> BrakeSettings:
    """Return the settings of the brake on mass deletion; raises ConfigurationError."""
    low, high = DELETE_MAX_FILES
    max_files = read_int(env, "RAG_DELETE_MAX_FILES", DEFAULT_BRAKE.max_files, low=low, high=high)
    low_percent, high_percent = DELETE_MAX_PERCENT
    max_percent = read_float(
        env, "RAG_DELETE_MAX_PERCENT", DEFAULT_BRAKE.max_percent, low=low_percent, high=high_percent
    )
    return BrakeSettings(max_files, max_percent, confirm_first)
