"""``rag-pipeline local-files``: follows a folder, and runs the status service."""

from __future__ import annotations

import argparse

from rag_pipeline.cli.service import start_service
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import PIPELINE_TYPE
from rag_pipeline.sources.runner import arguments
from rag_pipeline.sources.runner.local_files import spec_of
from rag_pipeline.sources.runner.pipeline_spec import RunSettings, collection_name
from rag_pipeline.sources.runner.run import run_one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("dir", nargs="?", metavar="DIR", help="folder to follow (default: RAG_WATCH_DIRECTORY)")
    arguments.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the pipeline; return the exit code."""
    settings = LocalFilesSettings.from_env(
        folder=args.dir, single=args.once, state_dir=args.state_dir, confirm_deletions=args.confirm_deletions
    )
    spec = spec_of(settings, collection_name(PIPELINE_TYPE, names.file_id(settings.folder)))
    run_settings = RunSettings(
        settings.state_dir, settings.state_dir_key, settings.mode, args.host, args.port, args.socket_port
    )
    return run_one(args, spec, run_settings, start_service)
