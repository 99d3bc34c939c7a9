"""Describes a google_drive pipeline: from its settings, or from a ``[[pipeline]]`` table of a run file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rag_pipeline.common.env import read_str
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.google_drive.auth.credential_files import CLIENT, INLINE, KEY_FILE, MAX_PATH_CHARACTERS
from rag_pipeline.sources.google_drive.settings import EXPECTED_FOLDER, GoogleDriveSettings, read_folder_id
from rag_pipeline.sources.runner.pipeline_config import PipelineConfig, RunDefaults, brake, check_interval, workers
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext, PipelineSpec
from rag_pipeline.sources.runner.toml_table import TomlTable

if TYPE_CHECKING:
    from rag_pipeline.sources.google_drive.auth.credentials import DriveCredentials

PIPELINE_TYPE = "google_drive"
_A_KEY = "the JSON key of a service account"


class Credentials(NamedTuple):
    """The environment with the credentials, and the keys of the run file that its variables came from."""

    env: Mapping[str, str]
    names: Mapping[str, str] = MappingProxyType({})


def spec_of(
    settings: GoogleDriveSettings,
    collection: str,
    env: Mapping[str, str],
    names: Mapping[str, str] = MappingProxyType({}),
    pipeline_id: str | None = None,
) -> PipelineSpec:
    """Return the pipeline for these settings, with the credentials from ``env``.

    ``names`` gives other names for the variables in error messages. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`, and ConfigurationError if the extra is not
    installed.
    """
    # Imported here because it loads google-auth.
    from rag_pipeline.sources.google_drive.auth.credentials import read_credentials

    access = read_credentials(env, settings.state_dir, names)

    return PipelineSpec(
        kind=PIPELINE_TYPE,
        title=f"{settings.location}, as {access.who}",
        collection=collection,
        workers=settings.workers,
        build=lambda context: _build(settings, access, context),
        pipeline_id=pipeline_id,
    )


def read(table: TomlTable, pipeline_id: str, defaults: RunDefaults) -> PipelineConfig:
    """Return the pipeline of a table; missing keys come from the environment. Raises ConfigurationError.

    Missing or invalid credentials are no error of the file: the pipeline shows them, and the others go on.
    """
    settings, credentials = _settings(table, defaults), _credentials(table, defaults)

    def with_credentials() -> PipelineSpec:
        return spec_of(settings, pipeline_id, *credentials)

    spec = PipelineSpec(
        kind=PIPELINE_TYPE,
        title=settings.location,
        collection=pipeline_id,
        workers=settings.workers,
        build=lambda context: with_credentials().build(context),
        pipeline_id=pipeline_id,
    )
    return PipelineConfig(pipeline_id, settings.folder_id, "folder_id", spec, verify=with_credentials)


def _settings(table: TomlTable, defaults: RunDefaults) -> GoogleDriveSettings:
    given = table.required("folder_id", EXPECTED_FOLDER)
    try:
        folder_id = read_folder_id("folder_id", given)
    except ConfigurationError:
        table.reject("folder_id", EXPECTED_FOLDER)
    settings = GoogleDriveSettings.from_env(
        defaults.env,
        folder_id=folder_id,
        state_dir=defaults.settings.state_dir,
        confirm_deletions=defaults.confirm_deletions,
    )
    return replace(
        settings,
        mode=defaults.settings.mode,
        check_interval_seconds=check_interval(table, settings.check_interval_seconds),
        workers=workers(table, settings.workers),
        state_dir_key=defaults.settings.state_dir_key,
        brake=brake(table, settings.brake),
    )


def _credentials(table: TomlTable, defaults: RunDefaults) -> Credentials:
    """Return the credentials that the table names, by a file or by a variable that holds them."""
    given = table.text("credentials_file", f"the path of {_A_KEY}") or ""
    if "{" in given or not given.isprintable() or len(given) > MAX_PATH_CHARACTERS:
        table.fail(f"credentials_file: expected the path of {_A_KEY}, not its content")
    file = table.path("credentials_file", f"the path of {_A_KEY}", defaults.base)
    variable = table.variable("credentials_env", _A_KEY)
    if file is not None and variable is not None:
        table.fail("credentials_file and credentials_env are both there: expected one of them")
    other_variables = {
        key: value for key, value in defaults.env.items() if key not in (INLINE, f"{INLINE}_FILE", CLIENT, KEY_FILE)
    }
    if file is not None:
        return Credentials({**other_variables, KEY_FILE: str(file)}, {KEY_FILE: "credentials_file"})
    if variable is None:
        return Credentials(defaults.env)
    key = read_str(defaults.env, variable)
    if key is None:
        table.fail(f"credentials_env: the variable {variable} is not set")
    return Credentials({**other_variables, INLINE: key}, {INLINE: f"credentials_env: {variable}"})


@contextmanager
def _build(
    settings: GoogleDriveSettings, access: DriveCredentials, context: PipelineContext
) -> Iterator[FollowingPipeline]:
    from rag_pipeline.sources.google_drive.connect import open_source

    opened = open_source(
        settings,
        access,
        collection=context.collection,
        state_dir=context.state.path,
        limit_bytes=context.stages.input_limit_bytes,
        stop=context.stop,
    )
    with opened as source:
        yield FollowingPipeline(
            context.status,
            source,
            context.stages,
            context.ledger,
            collection=context.collection,
            mode=settings.mode,
            check_interval_seconds=settings.check_interval_seconds,
            workers=settings.workers,
            brake=settings.brake,
        )
