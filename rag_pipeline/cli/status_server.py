"""``python status_server.py``: runs the service for this process's default pipeline, or for a demo."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence

from rag_pipeline.cli.arguments import OneLineParser, add_ports
from rag_pipeline.cli.demo import DemoPipeline
from rag_pipeline.cli.demo.player import DEFAULT_SPEED
from rag_pipeline.cli.serve import announce
from rag_pipeline.common import logs
from rag_pipeline.common.exit import run_command
from rag_pipeline.common.private_files import keep_process_private
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.common.variables import warn_about_unknown
from rag_pipeline.errors import ExitCode
from rag_pipeline.service import start_status_server
from rag_pipeline.status.pipeline import PipelineStatus

PROGRAM = "status_server.py"
DEMO_TYPE = "google_drive"
DEMO_STOP_SECONDS = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until a signal; return the exit code, see :class:`~rag_pipeline.errors.ExitCode`.

    An error of the package is printed as one line on stderr.
    """
    if argv is None:  # the command owns the process
        keep_process_private()
    return run_command(PROGRAM, lambda: _run(argv), last=argv is None)


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.demo and not options.loop:
        parser.error("--once needs --demo")
    log_format = logs.set_up(logging.INFO)
    warn_about_unknown(os.environ)
    return logs.run_logged(log_format, lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        demo = DemoPipeline(PipelineStatus(DEMO_TYPE), speed=options.speed) if options.demo else None
        server = stack.enter_context(
            start_status_server(options.port, host=options.host, socket_port=options.socket_port)
        )
        announce(server)
        if demo is not None:
            stack.enter_context(_playing(demo, signals, loop=options.loop))
        signals.wait()
    return ExitCode.OK


@contextlib.contextmanager
def _playing(demo: DemoPipeline, signals: StopSignals, *, loop: bool) -> Iterator[None]:
    """Play the demo on a thread during the block; when the script ends, request the stop of the program."""
    stop = threading.Event()

    def play() -> None:
        demo.run(stop, loop=loop)
        if not stop.is_set():
            signals.request()

    thread = threading.Thread(target=play, name="demo", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEMO_STOP_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Run the status service. Options win over environment variables.",
        allow_abbrev=False,
    )
    add_ports(parser)
    parser.add_argument("--demo", action="store_true", help="play a scripted hour of a pipeline's work")
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help="how many times as fast the demo runs (%(default)g)"
    )
    repeat = parser.add_mutually_exclusive_group()
    repeat.add_argument("--loop", action="store_true", default=True, help="repeat the demo for ever (the default)")
    repeat.add_argument("--once", action="store_false", dest="loop", help="stop when the demo is over")
    return parser
