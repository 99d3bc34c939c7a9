"""The settings that every kind of source has: their names in the environment, and what they may be."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.config import read_float, read_int

CHECK_INTERVAL_SECONDS = (0.1, 86_400.0)
WORKERS = (1, 64)


def read_check_interval(env: Mapping[str, str], default: float) -> float:
    """Return the longest time between two looks, in seconds; raises ConfigurationError."""
    low, high = CHECK_INTERVAL_SECONDS
    return read_float(env, "RAG_CHECK_INTERVAL", default, low=low, high=high)


def read_workers(env: Mapping[str, str], default: int) -> int:
    """Return how many files are worked on at the same time; raises ConfigurationError."""
    low, high = WORKERS
    return read_int(env, "RAG_WORKERS", default, low=low, high=high)
