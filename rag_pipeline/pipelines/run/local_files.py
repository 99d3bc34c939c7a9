"""A ``[[pipeline]]`` table of kind ``local_files``."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

from rag_pipeline.config import read_float, read_int
from rag_pipeline.pipelines.command import Pipeline, Surroundings, Task
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings, check_folder
from rag_pipeline.pipelines.local_files.source import PIPELINE_TYPE
from rag_pipeline.pipelines.run.entry import Entry, Frame
from rag_pipeline.pipelines.run.table import Table

_A_FOLDER = "the folder to follow"


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

    task = Task(
        kind=PIPELINE_TYPE,
        title=names.display_name(folder),
        scope=pipeline_id,
        mode=frame.mode,
        workers=settings.workers,
        state_dir=frame.state_dir,
        state_dir_key=frame.state_dir_key,
        build=lambda around: _build(settings, around),
    )
    return Entry(pipeline_id, folder, "folder", task, verify)


def _settings(table: Table, folder: str, frame: Frame) -> LocalFilesSettings:
    interval = read_float(frame.env, "RAG_CHECK_INTERVAL", 10.0, low=0.1, high=86_400)
    settle = read_float(frame.env, "RAG_SETTLE_SECONDS", 2.0, low=0, high=3600)
    workers = read_int(frame.env, "RAG_WORKERS", 2, low=1, high=64)
    return LocalFilesSettings(
        folder=folder,
        state_dir=frame.state_dir,
        mode=frame.mode,
        check_interval_seconds=table.number("check_interval", interval, low=0.1, high=86_400),
        settle_seconds=table.number("settle_seconds", settle, low=0, high=3600),
        workers=table.whole("workers", workers, low=1, high=64),
        state_dir_key=frame.state_dir_key,
    )


def _build(settings: LocalFilesSettings, around: Surroundings) -> AbstractContextManager[Pipeline]:
    pipeline = LocalFilesPipeline(around.status, settings, around.parts, around.ledger, scope=around.scope)
    return nullcontext(pipeline)
