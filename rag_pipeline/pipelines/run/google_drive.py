"""A ``[[pipeline]]`` table of kind ``google_drive``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from rag_pipeline.config import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.pipelines.command import Pipeline, Surroundings, Task
from rag_pipeline.pipelines.google_drive import command
from rag_pipeline.pipelines.google_drive.credential_files import CLIENT, INLINE, KEY_FILE
from rag_pipeline.pipelines.google_drive.settings import A_FOLDER, GoogleDriveSettings, read_folder_id
from rag_pipeline.pipelines.run.entry import Entry, Frame, check_interval, workers
from rag_pipeline.pipelines.run.table import Table


def read(table: Table, pipeline_id: str, frame: Frame) -> Entry:
    """Return the pipeline; what the table leaves out comes from the environment. Raises ConfigurationError.

    Credentials that are missing or not good are no mistake of the file: the pipeline says so, and the others go on.
    """
    settings, env = _settings(table, frame), _environment(table, frame)

    def build(around: Surroundings) -> AbstractContextManager[Pipeline]:
        return command.task_of(settings, pipeline_id, env).build(around)

    def verify() -> None:
        command.task_of(settings, pipeline_id, env)

    task = Task(
        kind=command.PIPELINE_TYPE,
        title=settings.place,
        scope=pipeline_id,
        mode=frame.mode,
        workers=settings.workers,
        state_dir=frame.state_dir,
        state_dir_key=frame.state_dir_key,
        build=build,
    )
    return Entry(pipeline_id, settings.folder_id, "folder_id", task, verify)


def _settings(table: Table, frame: Frame) -> GoogleDriveSettings:
    given = table.required("folder_id", A_FOLDER)
    try:
        folder_id = read_folder_id("folder_id", given)
    except ConfigurationError:
        table.reject("folder_id", A_FOLDER)
    usual = GoogleDriveSettings.from_env(frame.env, folder_id=folder_id, state_dir=frame.state_dir)
    return replace(
        usual,
        mode=frame.mode,
        check_interval_seconds=check_interval(table, usual.check_interval_seconds),
        workers=workers(table, usual.workers),
        state_dir_key=frame.state_dir_key,
    )


def _environment(table: Table, frame: Frame) -> Mapping[str, str]:
    """Return the environment with the credentials that the table names, by a file or by a variable that holds them."""
    file = table.path("credentials_file", "the path of the JSON key of a service account", frame.base)
    variable = table.text("credentials_env", "the name of a variable that holds the JSON key of a service account")
    if file is not None and variable is not None:
        table.fail("credentials_file and credentials_env are both there: expected one of them")
    if file is None and variable is None:
        return frame.env
    others = {key: value for key, value in frame.env.items() if key not in (INLINE, CLIENT, KEY_FILE)}
    if file is not None:
        return {**others, KEY_FILE: str(file)}
    key = read_str(frame.env, variable or "")
    if key is None:
        table.fail(f"credentials_env: the variable {(variable or '')[:200]} is not set")
    return {**others, INLINE: key}
