"""``rag-pipeline run``: runs the pipelines that a file describes, in one process with one service."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from rag_pipeline.cli.service import start_service
from rag_pipeline.common.exit import print_error
from rag_pipeline.common.printing import say
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.sources.runner.arguments import add_confirm_argument
from rag_pipeline.sources.runner.prefixed_lines import PrefixedLines
from rag_pipeline.sources.runner.run import run as run_pipelines
from rag_pipeline.sources.runner.run_file import RunFile, read_file

PROGRAM = "rag-pipeline"
STORE_KEY = "RAG_STORE_URL"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="TOML file that describes the pipelines")
    parser.add_argument("--check", action="store_true", help="check the file and the sources, and run nothing")
    parser.add_argument("--once", action="store_true", help="make one pass each and exit, as RUN_MODE=single does")
    add_confirm_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the pipelines until Ctrl+C or SIGTERM, or for one pass each; return the exit code.

    A pipeline that fails prints one line, and the others go on. The exit code is 0 after a signal, 130 if single passes
    were interrupted, else that of the first failed pipeline, else 1 if a file failed in a single pass.
    """
    file = read_file(args.file, single=args.once, confirm_deletions=args.confirm_deletions)
    ingest = IngestSettings.from_env(_environment(file))
    check_installed(ingest)
    if args.check:
        return _check(args.file, file)
    return run_pipelines(
        [pipeline.spec for pipeline in file.pipelines],
        file.settings,
        ingest,
        start_service,
        PrefixedLines,
        state_dir_option=f"state_dir in {args.file}",
        report_failure=lambda pipeline_id, error: print_error(PROGRAM, f"{pipeline_id}: {error}"),
    )


def _check(path: Path, file: RunFile) -> int:
    """Verify each pipeline and print what is wrong; return 0, or the exit code of the first error."""
    code: int = ExitCode.OK
    for pipeline in file.pipelines:
        try:
            pipeline.verify()
        except RagPipelineError as error:
            print_error(PROGRAM, f"{path}: {pipeline.pipeline_id}: {error}")
            code = code or error.exit_code
    if code == ExitCode.OK:
        count = len(file.pipelines)
        say(f"{path}: {count} pipeline{'' if count == 1 else 's'}, nothing wrong")
    return code


def _environment(file: RunFile) -> Mapping[str, str]:
    """Return the environment with the store of the file, if it names one."""
    if file.store_url is None:
        return dict(os.environ)
    without_file = {key: value for key, value in os.environ.items() if key != f"{STORE_KEY}_FILE"}
    return {**without_file, STORE_KEY: file.store_url}
