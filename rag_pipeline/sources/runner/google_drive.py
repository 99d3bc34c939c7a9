"""Builds a Google Drive pipeline: from its settings, or from a ``[[pipeline]]`` table of kind ``google_drive``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rag_pipeline.common.config import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.google_drive.credential_files import CLIENT, INLINE, KEY_FILE, MAX_PATH_CHARACTERS
from rag_pipeline.sources.google_drive.settings import A_FOLDER, GoogleDriveSettings, read_folder_id
from rag_pipeline.sources.runner.command import Pipeline, Surroundings, Task
from rag_pipeline.sources.runner.pipeline_config import Entry, Frame, brake, check_interval, workers
from rag_pipeline.sources.runner.table import Table

if TYPE_CHECKING:
    from rag_pipeline.sources.google_drive.auth import Access

PIPELINE_TYPE = "google_drive"
_A_KEY = "the JSON key of a service account"


class Credentials(NamedTuple):
    """The environment that names the credentials, and what the file calls the variables in it that come from there."""

    env: Mapping[str, str]
    names: Mapping[str, str] = MappingProxyType({})


def task_of(
    settings: GoogleDriveSettings, scope: str, env: Mapping[str, str], names: Mapping[str, str] = MappingProxyType({})
) -> Task:
    """Return the pipeline for these settings, with the credentials from ``env``.

    ``names`` gives other names for the variables in error messages. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`, and ConfigurationError if the extra is not
    installed.
    """
    # Imported here because it loads google-auth.
    from rag_pipeline.sources.google_drive.auth import read_access

    access = read_access(env, settings.state_dir, names)
    return Task(
        kind=PIPELINE_TYPE,
        title=f"{settings.place}, as {access.who}",
        scope=scope,
        mode=settings.mode,
        workers=settings.workers,
        state_dir=settings.state_dir,
        state_dir_key=settings.state_dir_key,
        build=lambda around: _build(settings, access, around),
    )


def read(table: Table, pipeline_id: str, frame: Frame) -> Entry:
    """Return the pipeline; what the table leaves out comes from the environment. Raises ConfigurationError.

    Credentials that are missing or not good are no mistake of the file: the pipeline says so, and the others go on.
    """
    settings, credentials = _settings(table, frame), _credentials(table, frame)

    def build(around: Surroundings) -> AbstractContextManager[Pipeline]:
        return found().build(around)

    def found() -> Task:
        return task_of(settings, pipeline_id, *credentials)

    def verify() -> None:
        found()

    task = Task(
        kind=PIPELINE_TYPE,
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
    usual = GoogleDriveSettings.from_env(
        frame.env, folder_id=folder_id, state_dir=frame.state_dir, confirm_deletions=frame.confirm_deletions
    )
    return replace(
        usual,
        mode=frame.mode,
        check_interval_seconds=check_interval(table, usual.check_interval_seconds),
        workers=workers(table, usual.workers),
        state_dir_key=frame.state_dir_key,
        brake=brake(table, usual.brake),
    )


def _credentials(table: Table, frame: Frame) -> Credentials:
    """Return the credentials that the table names, by a file or by a variable that holds them."""
    given = table.text("credentials_file", f"the path of {_A_KEY}") or ""
    if "{" in given or not given.isprintable() or len(given) > MAX_PATH_CHARACTERS:
        table.fail(f"credentials_file: expected the path of {_A_KEY}, not what is in it")
    file = table.path("credentials_file", f"the path of {_A_KEY}", frame.base)
    variable = table.variable("credentials_env", _A_KEY)
    if file is not None and variable is not None:
        table.fail("credentials_file and credentials_env are both there: expected one of them")
    others = {key: value for key, value in frame.env.items() if key not in (INLINE, f"{INLINE}_FILE", CLIENT, KEY_FILE)}
    if file is not None:
        return Credentials({**others, KEY_FILE: str(file)}, {KEY_FILE: "credentials_file"})
    if variable is None:
        return Credentials(frame.env)
    key = read_str(frame.env, variable)
    if key is None:
        table.fail(f"credentials_env: the variable {variable} is not set")
    return Credentials({**others, INLINE: key}, {INLINE: f"credentials_env: {variable}"})


@contextmanager
def _build(settings: GoogleDriveSettings, access: Access, around: Surroundings) -> Iterator[FollowingPipeline]:
    from rag_pipeline.sources.google_drive.connect import open_source

    opened = open_source(
        settings,
        access,
        scope=around.scope,
        state_dir=around.state.path,
        limit_bytes=around.parts.input_limit_bytes,
        stop=around.stop,
    )
    with opened as source:
        yield FollowingPipeline(
            around.status,
            source,
            around.parts,
            around.ledger,
            scope=around.scope,
            mode=settings.mode,
            check_interval_seconds=settings.check_interval_seconds,
            workers=settings.workers,
            brake=settings.brake,
        )
