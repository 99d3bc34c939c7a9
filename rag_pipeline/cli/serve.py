"""Runs the service until Ctrl+C or SIGTERM.

``python status_server.py`` shows this process's default pipeline or the demo, ``rag-pipeline serve`` those of others.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

from rag_pipeline.cli.arguments import OneLineParser
from rag_pipeline.cli.demo import DemoPipeline
from rag_pipeline.cli.demo.player import DEFAULT_SPEED
from rag_pipeline.common import logs
from rag_pipeline.common.config import Settings
from rag_pipeline.common.exit import run_command
from rag_pipeline.common.printing import say_lines
from rag_pipeline.common.private_files import keep_process_private
from rag_pipeline.common.probe import reachable
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.service.server import StatusServer, start_status_server
from rag_pipeline.status import PipelineStatus

PROGRAM = "status_server.py"
DEMO_TYPE = "google_drive"
DEMO_STOP_SECONDS = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service until it is told to stop; return the exit code of :class:`~rag_pipeline.errors.ExitCode`.

    What a user can set wrong is told in one line on stderr.
    """
    if argv is None:  # the process is this command's own
        keep_process_private()
    return run_command(PROGRAM, lambda: _run(argv), last=argv is None)


def addresses(server: StatusServer) -> str:
    """Return where to connect, one line for each address."""
    host = reachable(server.host)
    machine = f"[{host}]" if ":" in host else host
    http, socket_io = f"http://{machine}:{server.http_port}", f"http://{machine}:{server.socket_port}"
    lines = [f"Dashboard  {http}/", f"Status     {http}/status", f"Health     {http}/health"]
    return "\n".join(lines + [f"Socket.IO  {socket_io}{namespace}" for namespace in NAMESPACES])


def show_others(host: str | None, port: int | None, socket_port: int | None) -> int:
    """Run the service with no pipeline of its own; return 0 once it was told to stop.

    None stands for what the environment says. Raises ConfigurationError without ``STATUS_REDIS_URL``, and what
    :func:`start_status_server` raises.
    """
    if Settings.from_env(http_port=port, socket_port=socket_port, host=host).redis_url is None:
        raise ConfigurationError(
            "STATUS_REDIS_URL is not set: serve shows what other processes publish through the Redis it names"
        )
    with (
        StopSignals() as signals,
        start_status_server(port, host=host, socket_port=socket_port, pipelines=[]) as server,
    ):
        _announce(server)
        signals.wait()
    return ExitCode.OK


def _announce(server: StatusServer) -> None:
    say_lines(f"{addresses(server)}\nPress Ctrl+C to stop.")


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.demo and not options.loop:
        parser.error("--once goes with --demo")
    return logs.run_logged(logs.set_up(logging.INFO), lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        demo = DemoPipeline(PipelineStatus(DEMO_TYPE), speed=options.speed) if options.demo else None
        server = stack.enter_context(
            start_status_server(options.port, host=options.host, socket_port=options.socket_port)
        )
        _announce(server)
        if demo is not None:
            stack.enter_context(_playing(demo, signals, loop=options.loop))
        signals.wait()
    return ExitCode.OK


@contextlib.contextmanager
def _playing(demo: DemoPipeline, signals: StopSignals, *, loop: bool) -> Iterator[None]:
    """Play the demo on a thread; at the end of the script ask for the stop, at the end of the block end the thread."""
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
        description="Run the status service. What no option sets comes from the environment.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", help="address to bind (STATUS_HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the HTTP server (STATUS_PORT, else 8003); 0 picks free ones")
    parser.add_argument("--socket-port", type=int, help="port of the Socket.IO server (SOCKET_IO_PORT, else one above)")
    parser.add_argument("--demo", action="store_true", help="play a scripted hour of a pipeline's work")
    parser.add_argument(
        "--speed", type=float, default=DEFAULT_SPEED, help="how many times as fast the demo runs (%(default)g)"
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--loop", action="store_true", default=True, help="start the demo over at its end (the default)")
    again.add_argument("--once", action="store_false", dest="loop", help="stop when the demo is over")
    return parser
