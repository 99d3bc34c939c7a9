"""``rag-pipeline watch``: shows the pipelines of a running service."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

from rag_pipeline.cli.remote_service import TOKEN_KEY, add_token_file, default_url, read_token, with_token_advice
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.errors import AccessDeniedError, ConfigurationError, UnreachableError

if TYPE_CHECKING:
    from rag_pipeline.cli.watch.output import WatchOutput

DESCRIPTION = (
    "Follow a running service: a live view in a terminal, plain lines elsewhere. "
    f"A token comes from {TOKEN_KEY} or --token-file, not from an argument: every user of the machine can read "
    "command lines, and the shell keeps them in its history."
)
EPILOG = (
    "Exit codes: 0 stopped by Ctrl+C or SIGTERM, or with --until-idle done without failures; 1 a file failed, or a "
    "pipeline is in error; 2 with --until-idle, the service has no such --pipeline; 9 the service refuses the token; "
    "10 no service at the start; 124 --timeout has passed; 130 stopped before --until-idle was done."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="the service (default: this machine, port STATUS_PORT or 8003)"
    )
    parser.add_argument(
        "--namespace", choices=NAMESPACE_NAMES, help="whose pipelines to show (default: URL's, else /pipeline: all)"
    )
    parser.add_argument(
        "--pipeline", action="append", metavar="ID", help="show this pipeline only; may be given several times"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--plain", action="store_true", help="print plain lines, also in a terminal")
    output.add_argument("--json", action="store_true", help="print every event as one line of JSON")
    parser.add_argument(
        "--wait", action="store_true", help="wait for a service, or a --pipeline, that does not run yet"
    )
    parser.add_argument(
        "--until-idle", action="store_true", help="exit when all work is done: 0, or 1 if a file failed meanwhile"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="with --until-idle: exit 124 if the work takes longer"
    )
    add_token_file(parser)


def run(args: argparse.Namespace) -> int:
    """Watch the service until a signal, or with ``--until-idle`` until its work is done; return the exit code."""
    if args.timeout is not None and not args.until_idle:
        raise ConfigurationError("--timeout needs --until-idle")
    with StopSignals() as signals:
        return _watch(args, signals)


def _watch(args: argparse.Namespace, signals: StopSignals) -> int:
    # Imported here because the client's libraries take a moment to load, which no other command needs.
    from rag_pipeline.cli.watch.loop import WatchLoop, WatchOptions
    from rag_pipeline.client import StatusClient

    options = WatchOptions(args.pipeline, args.until_idle, args.wait, args.timeout)
    url = args.url or default_url()
    client = StatusClient(url, namespace=args.namespace, token=read_token(args.token_file))
    out = sys.stdout or io.StringIO()  # stdout is None if it was closed from the start
    output = _output(args, out, url if args.namespace is None else f"{url}  {args.namespace}")
    with client:
        try:
            return WatchLoop(client, output, options).run(signals)
        except AccessDeniedError as error:
            raise with_token_advice(error) from None
        except UnreachableError as error:
            raise UnreachableError(f"{error}; use --wait to wait for the service to start") from None


def _output(args: argparse.Namespace, out: TextIO, title: str) -> WatchOutput:
    from rag_pipeline.cli.watch.json_lines import JsonLines
    from rag_pipeline.cli.watch.plain_lines import PlainLines

    if args.json:
        return JsonLines(out)
    if args.plain or not _can_draw(out):
        return PlainLines(out)
    if find_spec("rich") is None:
        raise ConfigurationError('rich is not installed; run: pip install "rag-pipeline-status[watch]", or use --plain')
    from rag_pipeline.cli.watch.screen import Screen

    return Screen(out, title)


def _can_draw(out: TextIO) -> bool:
    """Return whether the output is a terminal with cursor movement and UTF-8."""
    has_cursor = os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")
    return has_cursor and out.isatty() and (out.encoding or "").lower().startswith("utf")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, not {text!r}")
    return value
