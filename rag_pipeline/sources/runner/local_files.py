"""Describes a local_files pipeline: from its settings, or from a ``[[pipeline]]`` table of a run file."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.sources.local_files.settings import SETTLE_SECONDS, LocalFilesSettings, check_folder
from rag_pipeline.sources.local_files.source import PIPELINE_TYPE
from rag_pipeline.sources.runner.pipeline_config import PipelineConfig, RunDefaults, brake, check_interval, workers
from rag_pipeline.sources.runner.pipeline_spec import Pipeline, PipelineContext, PipelineSpec
from rag_pipeline.sources.runner.toml_table import TomlTable

_A_FOLDER = "the folder to follow"


def spec_of(settings: LocalFilesSettings, collection: str, pipeline_id: str | None = None) -> PipelineSpec:
    """Return the pipeline for these settings."""
    return PipelineSpec(
        kind=PIPELINE_TYPE,
        title=names.display_name(settings.folder),
        collection=collection,
        workers=settings.workers,
        build=lambda context: _build(settings, context),
        pipeline_id=pipeline_id,
    )


def read(table: TomlTable, pipeline_id: str, defaults: RunDefaults) -> PipelineConfig:
    """Return the pipeline of a table; missing keys come from the environment. Raises ConfigurationError.

    A folder that can't be listed now is no error, because its disk may be mounted later; the pipeline shows it.
    """
    path = table.path("folder", _A_FOLDER, defaults.base) or table.missing("folder", _A_FOLDER)
    folder = os.path.realpath(path)
    if folder == os.path.realpath(defaults.settings.state_dir):
        table.reject("folder", "another folder than the one that keeps the state")
    spec = spec_of(_settings(table, folder, defaults), pipeline_id, pipeline_id)
    return PipelineConfig(pipeline_id, folder, "folder", spec, verify=lambda: check_folder("folder", folder))


def _settings(table: TomlTable, folder: str, defaults: RunDefaults) -> LocalFilesSettings:
    settings = LocalFilesSettings.of(
        folder,
        defaults.env,
        state_dir=defaults.settings.state_dir,
        mode=defaults.settings.mode,
        state_dir_key=defaults.settings.state_dir_key,
        confirm_deletions=defaults.confirm_deletions,
    )
    low, high = SETTLE_SECONDS
    return replace(
        settings,
        check_interval_seconds=check_interval(table, settings.check_interval_seconds),
        settle_seconds=table.number("settle_seconds", settings.settle_seconds, low=low, high=high),
        workers=workers(table, settings.workers),
        brake=brake(table, settings.brake),
    )


def _build(settings: LocalFilesSettings, context: PipelineContext) -> AbstractContextManager[Pipeline]:
    return nullcontext(
        LocalFilesPipeline(context.status, settings, context.stages, context.ledger, collection=context.collection)
    )
