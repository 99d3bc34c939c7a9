"""The ``rag-pipeline`` command: picks the subcommand, and turns what it raises into one line and an exit code."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline import __version__
from rag_pipeline.cli.arguments import OneLineParser
from rag_pipeline.common import logs
from rag_pipeline.common.exit import run_command
from rag_pipeline.common.private_files import keep_process_private

if TYPE_CHECKING:
    from rag_pipeline import PipelineStatus
    from rag_pipeline.sources.runner.terminal import Service

PROGRAM = "rag-pipeline"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code of :class:`~rag_pipeline.errors.ExitCode`.

    What a user can set wrong, and what a machine can run out of, is told in one line on stderr.
    """
    if argv is None:  # the process is this command's own
        keep_process_private()
    return run_command(PROGRAM, lambda: _run(argv), last=argv is None)


def _run(argv: Sequence[str] | None) -> int:
    args = _parser().parse_args(argv)
    log_format = _set_up_logging(verbose=args.verbose)
    run: Callable[[argparse.Namespace], int] = args.run
    return logs.run_logged(log_format, lambda: run(args))


def _parser() -> argparse.ArgumentParser:
    # Here, where Ctrl+C is heard already: they take a moment.
    from rag_pipeline.cli import control as control_command
    from rag_pipeline.cli import google_drive as google_drive_command
    from rag_pipeline.cli import health
    from rag_pipeline.cli import local_files as local_files_command
    from rag_pipeline.cli import run as together_command
    from rag_pipeline.cli import search as search_command
    from rag_pipeline.cli.store import command as store_command
    from rag_pipeline.cli.watch import command as watch_command

    parser = OneLineParser(prog=PROGRAM, description="Follow a folder of documents live, and search it.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more, on stderr")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    follow = commands.add_parser("local-files", help="follow a folder, with the status service beside it")
    local_files_command.add_arguments(follow)
    follow.set_defaults(run=lambda args: local_files_command.run(args, _start_service))

    drive = commands.add_parser(
        "google-drive", help="follow a folder in Google Drive, with the status service beside it"
    )
    google_drive_command.add_arguments(drive)
    drive.set_defaults(run=lambda args: google_drive_command.run(args, _start_service))

    together = commands.add_parser("run", help="run the pipelines that a file names, together on one service")
    together_command.add_arguments(together)
    together.set_defaults(run=lambda args: together_command.run(args, _start_services))

    serve = commands.add_parser("serve", help="show the pipelines of other processes, which STATUS_REDIS_URL connects")
    serve.add_argument("--host", help="address both servers bind to (default: STATUS_HOST, or 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port of the HTTP server (default: STATUS_PORT, or 8003; 0: any)")
    serve.add_argument("--socket-port", type=int, metavar="PORT", help="port of Socket.IO (default: one above)")
    serve.set_defaults(run=_serve)

    watch = commands.add_parser("watch", help="show the pipelines of a running service, in a terminal or for a script")
    watch_command.add_arguments(watch)
    watch.set_defaults(run=watch_command.run)

    control = commands.add_parser("control", help="pause a pipeline of a running service, let it go on, retry a file")
    control_command.add_arguments(control)
    control.set_defaults(run=control_command.run)

    search = commands.add_parser("search", help="answer a question from the stored documents")
    search_command.add_arguments(search)
    search.set_defaults(run=search_command.run)

    store = commands.add_parser("store", help="list, drop, check and compact what the pipelines have stored")
    store_command.add_arguments(store)
    store.set_defaults(run=store_command.run)

    check = commands.add_parser("health", help="ask a running service whether both its servers live")
    health.add_arguments(check)
    check.set_defaults(run=health.run)
    return parser


def _start_service(
    status: PipelineStatus, *, host: str | None, port: int | None, socket_port: int | None, state_dir: Path
) -> AbstractContextManager[Service]:
    return _start_services([status], host=host, port=port, socket_port=socket_port, state_dir=state_dir)


def _start_services(
    statuses: Sequence[PipelineStatus], *, host: str | None, port: int | None, socket_port: int | None, state_dir: Path
) -> AbstractContextManager[Service]:
    # Here, since it brings eventlet with it, which neither search nor health needs.
    from rag_pipeline.service.server import start_status_server

    return start_status_server(port, host=host, socket_port=socket_port, pipelines=statuses, state_dir=state_dir)


def _serve(args: argparse.Namespace) -> int:
    # Here for the same reason.
    from rag_pipeline.cli.serve import show_others

    return show_others(args.host, args.port, args.socket_port)


def _set_up_logging(*, verbose: bool) -> logs.LogFormat:
    log_format = logs.set_up(logging.WARNING)
    logging.getLogger("rag_pipeline").setLevel(logging.DEBUG if verbose else logging.WARNING)
    return log_format
