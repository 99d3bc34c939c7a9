"""One pipeline of a run file, whatever it follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.common.config import RunMode
from rag_pipeline.sources.following.deletion_brake import BrakeSettings
from rag_pipeline.sources.following.settings import (
    CHECK_INTERVAL_SECONDS,
    DELETE_MAX_FILES,
    DELETE_MAX_PERCENT,
    WORKERS,
)
from rag_pipeline.sources.runner.command import Task
from rag_pipeline.sources.runner.table import Table


class Frame(NamedTuple):
    """What all pipelines of a file have in common; paths in the file are relative to ``base``.

    ``confirm_deletions`` is ``--confirm-deletions``.
    """

    base: Path
    state_dir: Path
    state_dir_key: str
    mode: RunMode
    env: Mapping[str, str]
    confirm_deletions: bool = False


class Entry(NamedTuple):
    """A pipeline as the file describes it.

    pipeline_id: its identity, under which its files are kept as well.
    place: what it follows; no two of a kind follow the same. ``place_key`` is the key in the table that says it.
    verify: raises an error of the package, in one line, for what would keep it from working now.
    """

    pipeline_id: str
    place: str
    place_key: str
    task: Task
    verify: Callable[[], None]

    @property
    def kind(self) -> str:
        """Its type, which decides the namespace."""
        return self.task.kind


def check_interval(table: Table, default: float) -> float:
    """Return the table's longest time between two looks, in seconds."""
    low, high = CHECK_INTERVAL_SECONDS
    return table.number("check_interval", default, low=low, high=high)


def workers(table: Table, default: int) -> int:
    """Return how many of the table's files are worked on at the same time."""
    low, high = WORKERS
    return table.whole("workers", default, low=low, high=high)


def brake(table: Table, usual: BrakeSettings) -> BrakeSettings:
    """Return when the table's mass deletions are held."""
    low, high = DELETE_MAX_FILES
    max_files = table.whole("delete_max_files", usual.max_files, low=low, high=high)
    least, most = DELETE_MAX_PERCENT
    max_percent = table.number("delete_max_percent", usual.max_percent, low=least, high=most)
    return usual._replace(max_files=max_files, max_percent=max_percent)
