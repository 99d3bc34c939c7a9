"""``rag-pipeline local-files``: follows a folder, with the status service beside it."""

from __future__ import annotations

import argparse
from contextlib import nullcontext

from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import PIPELINE_TYPE
from rag_pipeline.sources.runner import command
from rag_pipeline.sources.runner.command import StartService, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dir", nargs="?", metavar="DIR", help="folder to follow (default: RAG_WATCH_DIRECTORY)")
    command.add_arguments(parser)


def run(args: argparse.Namespace, start_service: StartService) -> int:
    """Follow the folder as :func:`rag_pipeline.sources.runner.command.run` does; return the exit code."""
    settings = LocalFilesSettings.from_env(
        folder=args.dir, single=args.once, state_dir=args.state_dir, confirm_deletions=args.confirm_deletions
    )
    task = Task(
        kind=PIPELINE_TYPE,
        title=names.display_name(settings.folder),
        scope=command.scope_of(PIPELINE_TYPE, names.file_id(settings.folder)),
        mode=settings.mode,
        workers=settings.workers,
        state_dir=settings.state_dir,
        state_dir_key=settings.state_dir_key,
        build=lambda around: nullcontext(
            LocalFilesPipeline(around.status, settings, around.parts, around.ledger, scope=around.scope)
        ),
    )
    return command.run(args, task, start_service)
