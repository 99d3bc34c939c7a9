"""``rag-pipeline google-drive``: follows a folder in Google Drive, and runs the status service."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from rag_pipeline.cli.service import start_service
from rag_pipeline.common.printing import say, say_lines
from rag_pipeline.errors import ExitCode
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings
from rag_pipeline.sources.runner import arguments
from rag_pipeline.sources.runner.google_drive import PIPELINE_TYPE, spec_of
from rag_pipeline.sources.runner.pipeline_spec import RunSettings, collection_name
from rag_pipeline.sources.runner.run import run_one
from rag_pipeline.sources.state_folder import StateFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--folder-id",
        metavar="ID",
        help="id or URL of the folder to follow; root is My Drive (default: RAG_WATCH_FOLDER_ID)",
    )
    parser.add_argument("--sign-in", action="store_true", help="grant access in a browser on this machine, and exit")
    arguments.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Sign in with ``--sign-in``; else run the pipeline. Return the exit code."""
    if args.sign_in:
        return sign_in(os.environ, args.state_dir)
    settings = GoogleDriveSettings.from_env(
        folder_id=args.folder_id,
        single=args.once,
        state_dir=args.state_dir,
        confirm_deletions=args.confirm_deletions,
    )
    spec = spec_of(settings, collection_name(PIPELINE_TYPE, settings.folder_id), os.environ)
    run_settings = RunSettings(
        settings.state_dir, settings.state_dir_key, settings.mode, args.host, args.port, args.socket_port
    )
    return run_one(args, spec, run_settings, start_service)


def sign_in(env: Mapping[str, str], state_dir: Path | None) -> int:
    """Let a person grant access in a browser, and store the grant in the state folder; return the exit code.

    Raises :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`, also if the person refuses.
    """
    from rag_pipeline.sources.google_drive.auth import oauth
    from rag_pipeline.sources.google_drive.auth.credential_files import read_client
    from rag_pipeline.sources.google_drive.auth.credentials import check_installed
    from rag_pipeline.sources.google_drive.auth.token_file import TOKEN_NAME, save_grant

    check_installed()
    client = read_client(env)
    key = "--state-dir" if state_dir else "STATUS_STATE_DIR"
    with StateFolder(state_dir or read_state_dir(env), key) as state:
        grant = oauth.sign_in(client, _show_url)
        save_grant(state.path / TOKEN_NAME, grant)
        say(f"Signed in; the access to Google Drive is kept in {state.path / TOKEN_NAME}")
    return ExitCode.OK


def _show_url(url: str) -> None:
    say_lines(f"Open this address in a browser on this machine, and allow the access:\n\n{url}\n")
