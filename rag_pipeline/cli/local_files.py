"""``rag-pipeline local-files``: follows a folder, with the status service beside it."""

from __future__ import annotations

import argparse

from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import PIPELINE_TYPE
from rag_pipeline.sources.runner import command
from rag_pipeline.sources.runner.command import StartService
from rag_pipeline.sources.runner.local_files import task_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dir", nargs="?", metavar="DIR", help="folder to follow (default: RAG_WATCH_DIRECTORY)")
    command.add_arguments(parser)


def run(args: argparse.Namespace, start_service: StartService) -> int:
    """Follow the folder as :func:`rag_pipeline.sources.runner.command.run` does; return the exit code."""
    settings = LocalFilesSettings.from_env(
        folder=args.dir, single=args.once, state_dir=args.state_dir, confirm_deletions=args.confirm_deletions
    )
    scope = command.scope_of(PIPELINE_TYPE, names.file_id(settings.folder))
    return command.run(args, task_of(settings, scope), start_service)
