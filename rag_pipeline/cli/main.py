"""The ``rag-pipeline`` command: joins the subcommands, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Sequence

from rag_pipeline import __version__
from rag_pipeline.cli.arguments import OneLineParser
from rag_pipeline.common import logs
from rag_pipeline.common.exit import run_command
from rag_pipeline.common.private_files import keep_process_private
from rag_pipeline.common.variables import warn_about_unknown

PROGRAM = "rag-pipeline"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see :class:`~rag_pipeline.errors.ExitCode`.

    An error of the package is printed as one line on stderr.
    """
    if argv is None:  # the command owns the process
        keep_process_private()
    return run_command(PROGRAM, lambda: _run(argv), last=argv is None)


def _run(argv: Sequence[str] | None) -> int:
    args = _parser().parse_args(argv)
    log_format = logs.set_up(logging.WARNING)
    logging.getLogger("rag_pipeline").setLevel(logging.DEBUG if args.verbose else logging.WARNING)
    warn_about_unknown(os.environ)
    run: Callable[[argparse.Namespace], int] = args.run
    return logs.run_logged(log_format, lambda: run(args))


def _parser() -> argparse.ArgumentParser:
    # Imported here, where Ctrl+C is handled already, because it takes a moment.
    from rag_pipeline.cli import control, google_drive, health, local_files, run, search, serve
    from rag_pipeline.cli.mcp import command as mcp
    from rag_pipeline.cli.store import command as store
    from rag_pipeline.cli.watch import command as watch

    parser = OneLineParser(prog=PROGRAM, description="Follow a folder of documents live, and search it.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more, on stderr")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module, summary in (
        ("local-files", local_files, "follow a folder, and run the status service"),
        ("google-drive", google_drive, "follow a folder in Google Drive, and run the status service"),
        ("run", run, "run several pipelines that a file describes, with one status service"),
        ("serve", serve, "show the pipelines of other processes, which STATUS_REDIS_URL connects"),
        ("watch", watch, "show the pipelines of a running service, in a terminal or for a script"),
        ("control", control, "pause, resume or check a pipeline of a running service, or retry a file"),
        ("search", search, "answer a question from the stored documents"),
        ("mcp", mcp, "let a language model search the stored documents, over the Model Context Protocol"),
        ("store", store, "list, drop, check and compact what the pipelines have stored"),
        ("health", health, "check that both servers of a running service answer"),
    ):
        command = commands.add_parser(name, help=summary)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    parser.set_defaults(run=lambda _: parser.error(f"expected a command: {', '.join(commands.choices)}; see --help"))
    return parser
