"""Asks a running service whether it lives: both servers, each by a real request. A container's health check."""

from __future__ import annotations

import argparse

from rag_pipeline.common.config import Settings
from rag_pipeline.common.exit import print_error
from rag_pipeline.common.printing import say
from rag_pipeline.common.probe import ProbeResult, probe
from rag_pipeline.errors import ExitCode

DEFAULT_TIMEOUT_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--host", help="where the service is (default: STATUS_HOST, or this machine)")
    parser.add_argument("--http-port", type=int, metavar="PORT", help="default: STATUS_PORT, or 8003")
    parser.add_argument("--socket-port", type=int, metavar="PORT", help="default: SOCKET_IO_PORT, or one above")
    parser.add_argument(
        "--timeout", type=float, default=DEFAULT_TIMEOUT_SECONDS, metavar="SECONDS", help="for each (default: 5)"
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 if both servers answer 200, else 1 with one line that says which one doesn't, and why."""
    settings = Settings.from_env(http_port=args.http_port, socket_port=args.socket_port, host=args.host)
    dead = check(settings.host, settings.http_port, settings.socket_port, timeout_seconds=max(0.01, args.timeout))
    if dead:
        print_error("rag-pipeline", "; ".join(dead))
        return ExitCode.FILES_FAILED
    say(f"both servers answer on {settings.host}, ports {settings.http_port} and {settings.socket_port}")
    return ExitCode.OK


def check(host: str, http_port: int, socket_port: int, *, timeout_seconds: float) -> list[str]:
    """Return what is wrong with each server that isn't well; nothing if both are."""
    asked = {
        f"the Socket.IO server on port {socket_port}": probe(
            host, socket_port, "/health", timeout_seconds=timeout_seconds
        ),
        f"the HTTP server on port {http_port}": probe(host, http_port, "/health", timeout_seconds=timeout_seconds),
    }
    return [f"{name} {_problem(result)}" for name, result in asked.items() if not result.ok]


def _problem(result: ProbeResult) -> str:
    if result.status == 503:  # the HTTP server is alive and says that the other one isn't
        return "says that a part of the service is down"
    return f"is not well: {result.error}"
