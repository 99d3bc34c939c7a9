"""The command-line arguments that the commands of all pipelines share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a command that runs one pipeline."""
    parser.add_argument("--once", action="store_true", help="make one pass and exit, as RUN_MODE=single does")
    add_confirm_argument(parser)
    parser.add_argument("--host", help="address both servers bind to (default: STATUS_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the HTTP server (default: STATUS_PORT, or 8003; 0: any)")
    parser.add_argument("--socket-port", type=int, metavar="PORT", help="port of Socket.IO (default: one above)")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="state folder (default: STATUS_STATE_DIR, or .rag_pipeline)"
    )
    parser.add_argument("--plain", action="store_true", help="print lines only, also in a terminal")


def add_confirm_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that confirms mass deletions in advance."""
    parser.add_argument(
        "--confirm-deletions",
        action="store_true",
        help="delete the files that the first scan does not find, however many they are",
    )
