"""``rag-pipeline watch``: its arguments, and what has to be there for it."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rag_pipeline.common.config import Settings, read_str
from rag_pipeline.common.probe import reachable
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.errors import ConfigurationError, UnreachableError

if TYPE_CHECKING:
    from rag_pipeline.cli.watch.view import View

TOKEN_KEY = "STATUS_TOKEN"
DESCRIPTION = (
    "Follow a running service: a picture of its pipelines in a terminal, plain lines elsewhere. "
    f"A token comes from {TOKEN_KEY} or --token-file: what stands on a command line can be read by every user of the "
    "machine, and stays in the shell's history."
)
EPILOG = (
    "Exit codes: 0 stopped by Ctrl+C or SIGTERM, or with --until-idle done and nothing failed; 1 a file failed, or a "
    "pipeline is in error; 9 the service refuses the token; 10 no service at the start; 124 --timeout is over; "
    "130 stopped before --until-idle was done."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
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
    output.add_argument("--plain", action="store_true", help="print lines, also in a terminal")
    output.add_argument("--json", action="store_true", help="print every event as JSON, one a line")
    parser.add_argument("--wait", action="store_true", help="wait for a service that isn't there yet")
    parser.add_argument(
        "--until-idle", action="store_true", help="exit when all work is done: 0, or 1 if a file failed meanwhile"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="with --until-idle: exit 124 if it is not done by then"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"file with the token (default: {TOKEN_KEY})")


def run(args: argparse.Namespace) -> int:
    """Follow the service until told to stop or done; return the exit code. Raises what is told in one line."""
    if args.timeout is not None and not args.until_idle:
        raise ConfigurationError("--timeout goes with --until-idle")
    with StopSignals() as signals:
        return _follow(args, signals)


def _follow(args: argparse.Namespace, signals: StopSignals) -> int:
    # Here, since the client's libraries take a moment to load, which the other commands need not wait for.
    from rag_pipeline.cli.watch.follow import Follower, Orders
    from rag_pipeline.client import StatusClient

    orders = Orders(args.pipeline, args.until_idle, args.wait, args.timeout)
    url = args.url or default_url()
    client = StatusClient(url, namespace=args.namespace, token=read_token(args.token_file))
    out = sys.stdout or io.StringIO()  # Python has none where it was closed from the start
    view = _view(args, out, url if args.namespace is None else f"{url}  {args.namespace}")
    with client:
        try:
            return Follower(client, view, orders).run(signals)
        except UnreachableError as error:
            raise UnreachableError(f"{error}; --wait waits for a service to start") from None


def default_url() -> str:
    """Return where the service of this machine is, as far as the environment says."""
    settings = Settings.from_env()
    host = reachable(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def read_token(file: Path | None) -> Callable[[], str] | str | None:
    """Return the token, or what reads it again for each connection: a file is renewed where tokens expire."""
    if file is None:
        return read_str(os.environ, TOKEN_KEY)

    def read() -> str:
        return file.read_text(encoding="utf-8").strip()

    try:
        token = read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(f"--token-file {file} can't be read: {why}") from None
    if not token:
        raise ConfigurationError(f"--token-file {file} is empty")
    return read


def _view(args: argparse.Namespace, out: TextIO, title: str) -> View:
    from rag_pipeline.cli.watch.json_lines import JsonLines
    from rag_pipeline.cli.watch.lines import Lines

    if args.json:
        return JsonLines(out)
    if args.plain or not _can_draw(out):
        return Lines(out)
    if find_spec("rich") is None:
        raise ConfigurationError(
            'rich is not installed; run: pip install "rag-pipeline-status[watch]", or use --plain, which does without'
        )
    from rag_pipeline.cli.watch.screen import Screen

    return Screen(out, title)


def _can_draw(out: TextIO) -> bool:
    """Return whether a picture can be drawn there: a terminal that moves its cursor, and shows more than ASCII."""
    able = os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")
    return able and out.isatty() and (out.encoding or "").lower().startswith("utf")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, not {text!r}")
    return value
