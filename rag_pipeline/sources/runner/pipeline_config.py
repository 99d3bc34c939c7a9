"""One pipeline of a run file, and the settings that every kind of pipeline has there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.following.settings import (
    CHECK_INTERVAL_SECONDS,
    DELETE_MAX_FILES,
    DELETE_MAX_PERCENT,
    WORKERS,
)
from rag_pipeline.sources.runner.pipeline_spec import PipelineSpec, RunSettings
from rag_pipeline.sources.runner.toml_table import TomlTable


class RunDefaults(NamedTuple):
    """Settings that all pipelines of a run file share; ``base`` is the folder that relative paths start from.

    ``confirm_deletions`` is ``--confirm-deletions``.
    """

    base: Path
    settings: RunSettings
    env: Mapping[str, str]
    confirm_deletions: bool = False


class PipelineConfig(NamedTuple):
    """A pipeline as the run file describes it.

    pipeline_id: also names the pipeline's collection.
    location: what it follows; no two pipelines of a kind follow the same. ``location_key`` is its key in the table.
    verify: raises a RagPipelineError for what would keep the pipeline from working now.
    """

    pipeline_id: str
    location: str
    location_key: str
    spec: PipelineSpec
    verify: Callable[[], object]

    @property
    def kind(self) -> str:
        """The pipeline's type."""
        return self.spec.kind


def check_interval(table: TomlTable, default: float) -> float:
    """Return the longest time between two scans, in seconds."""
    low, high = CHECK_INTERVAL_SECONDS
    return table.number("check_interval", default, low=low, high=high)


def workers(table: TomlTable, default: int) -> int:
    """Return how many files are ingested at the same time."""
    low, high = WORKERS
    return table.integer("workers", default, low=low, high=high)


def brake(table: TomlTable, default: BrakeSettings) -> BrakeSettings:
    """Return the settings of the brake on mass deletion."""
    low, high = DELETE_MAX_FILES
    max_files = table.integer("delete_max_files", default.max_files, low=low, high=high)
    low_percent, high_percent = DELETE_MAX_PERCENT
    max_percent = table.number("delete_max_percent", default.max_percent, low=low_percent, high=high_percent)
    return default._replace(max_files=max_files, max_percent=max_percent)
