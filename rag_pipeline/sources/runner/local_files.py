"""Builds a pipeline for a local folder: from its settings, or from a ``[[pipeline]]`` table of kind ``local_files``."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.sources.local_files.settings import SETTLE_SECONDS, LocalFilesSettings, check_folder
from rag_pipeline.sources.local_files.source import PIPELINE_TYPE
from rag_pipeline.sources.runner.command import Pipeline, Surroundings, Task
from rag_pipeline.sources.runner.pipeline_config import Entry, Frame, brake, check_interval, workers
from rag_pipeline.sources.runner.table import Table

_A_FOLDER = "the folder to follow"


def task_of(settings: LocalFilesSettings, scope: str) -> Task:
    """Return the pipeline for these settings."""
    return Task(
        kind=PIPELINE_TYPE,
        title=names.display_name(settings.folder),
        scope=scope,
        mode=settings.mode,
        workers=settings.workers,
        state_dir=settings.state_dir,
        state_dir_key=settings.state_dir_key,
        build=lambda around: _build(settings, around),
    )


def read(table: Table, pipeline_id: str, frame: Frame) -> Entry:
    """Return the pipeline; what the table leaves out comes from the environment. Raises ConfigurationError.

    A folder that can't be listed now is no mistake, since it may be a disk that is mounted later: the pipeline says so.
    """
    given = table.path("folder", _A_FOLDER, frame.base) or table.missing("folder", _A_FOLDER)
    folder = os.path.realpath(given)
    if folder == os.path.realpath(frame.state_dir):
        table.reject("folder", "another folder than the one that keeps the state")
    settings = _settings(table, folder, frame)

    def verify() -> None:
        check_folder("folder", folder)

    return Entry(pipeline_id, folder, "folder", task_of(settings, pipeline_id), verify)


def _settings(table: Table, folder: str, frame: Frame) -> LocalFilesSettings:
    usual = LocalFilesSettings.of(
        folder,
        frame.env,
        state_dir=frame.state_dir,
        mode=frame.mode,
        state_dir_key=frame.state_dir_key,
        confirm_deletions=frame.confirm_deletions,
    )
    low, high = SETTLE_SECONDS
    return replace(
        usual,
        check_interval_seconds=check_interval(table, usual.check_interval_seconds),
        settle_seconds=table.number("settle_seconds", usual.settle_seconds, low=low, high=high),
        workers=workers(table, usual.workers),
        brake=brake(table, usual.brake),
    )


def _build(settings: LocalFilesSettings, around: Surroundings) -> AbstractContextManager[Pipeline]:
    pipeline = LocalFilesPipeline(around.status, settings, around.parts, around.ledger, scope=around.scope)
    return nullcontext(pipeline)
