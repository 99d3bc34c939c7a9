"""``rag-pipeline health``: checks both servers of a running service by a request to each. For containers."""

from __future__ import annotations

import argparse

from rag_pipeline.common.config import Settings
from rag_pipeline.common.exit import print_error
from rag_pipeline.common.printing import say
from rag_pipeline.common.probe import ProbeResult, probe
from rag_pipeline.errors import ExitCode

DEFAULT_TIMEOUT_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--host", help="host of the service (default: STATUS_HOST, or this machine)")
    parser.add_argument("--http-port", type=int, metavar="PORT", help="default: STATUS_PORT, or 8003")
    parser.add_argument("--socket-port", type=int, metavar="PORT", help="default: SOCKET_IO_PORT, or one above")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="per request (default: 5)",
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 if both servers answer 200; else print one line that says which one does not and why, and return 1."""
    settings = Settings.from_env(http_port=args.http_port, socket_port=args.socket_port, host=args.host)
    problems = check(settings.host, settings.http_port, settings.socket_port, timeout_seconds=max(0.01, args.timeout))
    if problems:
        print_error("rag-pipeline", "; ".join(problems))
        return ExitCode.FILES_FAILED
    say(f"both servers answer on {settings.host}, ports {settings.http_port} and {settings.socket_port}")
    return ExitCode.OK


def check(host: str, http_port: int, socket_port: int, *, timeout_seconds: float) -> list[str]:
    """Return one sentence for each server that is not healthy."""
    results = {
        f"the Socket.IO server on port {socket_port}": probe(
            host, socket_port, "/health", timeout_seconds=timeout_seconds
        ),
        f"the HTTP server on port {http_port}": probe(host, http_port, "/health", timeout_seconds=timeout_seconds),
    }
    return [f"{name} {_problem(result)}" for name, result in results.items() if not result.ok]


def _problem(result: ProbeResult) -> str:
    if result.status == 503:  # the HTTP server itself answers
        return "answers that a part of the service is down"
    return f"is not healthy: {result.error}"
