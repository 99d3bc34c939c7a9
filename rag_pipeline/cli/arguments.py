"""Arguments that several commands share, and a parser that reports mistakes in one line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from rag_pipeline.errors import ConfigurationError


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that raises ConfigurationError instead of printing its usage; so do its subparsers."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError."""
        raise ConfigurationError(message)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Add ``--host``, ``--port`` and ``--socket-port``, where the service listens."""
    parser.add_argument("--host", help="address both servers bind to (default: STATUS_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the HTTP server (default: STATUS_PORT, or 8003; 0: any)")
    parser.add_argument(
        "--socket-port",
        type=int,
        metavar="PORT",
        help="port of the Socket.IO server (default: SOCKET_IO_PORT, or one above)",
    )


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    """Add ``--state-dir``."""
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="state folder (default: STATUS_STATE_DIR, or .rag_pipeline)"
    )
