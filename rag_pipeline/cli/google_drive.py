"""``rag-pipeline google-drive``: follows a folder in Google Drive, with the status service beside it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rag_pipeline.common.printing import say, say_lines
from rag_pipeline.errors import ExitCode
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings
from rag_pipeline.sources.runner import command
from rag_pipeline.sources.runner.command import StartService, Surroundings, Task
from rag_pipeline.sources.state_folder import StateFolder

if TYPE_CHECKING:
    from rag_pipeline.sources.google_drive.auth import Access

PIPELINE_TYPE = "google_drive"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--folder-id",
        metavar="ID",
        help="id or address of the folder to follow; root is My Drive (default: RAG_WATCH_FOLDER_ID)",
    )
    parser.add_argument(
        "--sign-in", action="store_true", help="let a person grant access in a browser on this machine, and exit"
    )
    command.add_arguments(parser)


def run(args: argparse.Namespace, start_service: StartService) -> int:
    """Follow the folder as :func:`rag_pipeline.sources.runner.command.run` does; return the exit code.

    With ``--sign-in`` no more is done than that.
    """
    if args.sign_in:
        return sign_in(os.environ, args.state_dir)
    settings = GoogleDriveSettings.from_env(
        folder_id=args.folder_id,
        single=args.once,
        state_dir=args.state_dir,
        confirm_deletions=args.confirm_deletions,
    )
    scope = command.scope_of(PIPELINE_TYPE, settings.folder_id)
    return command.run(args, task_of(settings, scope, os.environ), start_service)


def task_of(
    settings: GoogleDriveSettings, scope: str, env: Mapping[str, str], names: Mapping[str, str] = MappingProxyType({})
) -> Task:
    """Return the pipeline of these settings, with the credentials that the environment names.

    ``names`` are other words for its variables in messages. Raises
    :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`, and ConfigurationError if the extra is not
    installed.
    """
    # Here, since it brings google-auth with it, which is not needed to name the arguments.
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
        build=lambda around: _pipeline(settings, access, around),
    )


@contextmanager
def _pipeline(settings: GoogleDriveSettings, access: Access, around: Surroundings) -> Iterator[FollowingPipeline]:
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


def sign_in(env: Mapping[str, str], state_dir: Path | None) -> int:
    """Let a person grant access, and keep what was granted in the state folder; return the exit code.

    Raises :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`, also if the person refuses.
    """
    from rag_pipeline.sources.google_drive import oauth
    from rag_pipeline.sources.google_drive.auth import check_installed
    from rag_pipeline.sources.google_drive.credential_files import read_client
    from rag_pipeline.sources.google_drive.token_file import TOKEN_NAME, save_grant

    check_installed()
    client = read_client(env)
    key = "--state-dir" if state_dir else "STATUS_STATE_DIR"
    with StateFolder(state_dir or read_state_dir(env), key) as state:
        grant = oauth.sign_in(client, _show_address)
        save_grant(state.path / TOKEN_NAME, grant)
        say(f"Signed in; the access to Google Drive is kept in {state.path / TOKEN_NAME}")
    return ExitCode.OK


def _show_address(address: str) -> None:
    say_lines(f"Open this address in a browser on this machine, and allow the access:\n\n{address}\n")
