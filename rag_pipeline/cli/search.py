"""``rag-pipeline search``: answers a question from the stored documents."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rag_pipeline.cli.arguments import add_state_dir
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.common.printing import printable, say, say_lines
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import STORE_NAME, is_default, read_state_dir
from rag_pipeline.ingest.store.factory import check_stored
from rag_pipeline.ingest.types import SearchHit

_SNIPPET_LINES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("question", help="what to look for, in your own words")
    parser.add_argument("--limit", type=_limit, default=5, metavar="N", help="answers to show, 1 to 100 (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a JSON array, with the whole text of each answer")
    parser.add_argument("--pipeline", metavar="ID", help="search the documents of this pipeline only")
    parser.add_argument(
        "--path", metavar="PATTERN", help="search files with such an id or name only, as in 'reports/*'"
    )
    parser.add_argument(
        "--type", metavar="TYPE", help="search files of this MIME type, extension or kind only, such as pdf or markdown"
    )
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    """Print the best answers, best first; raises StoreError, EmbeddingError or ConfigurationError."""
    if not args.question.strip():
        raise ConfigurationError("the question is empty: expected what to look for, in words")
    settings = IngestSettings.from_env()
    check_installed(settings)
    state_dir: Path = args.state_dir or read_state_dir()
    check_stored(settings, state_dir / STORE_NAME)
    pipelines = None if args.pipeline is None else frozenset({args.pipeline})
    query = DocumentQuery(args.question, pipelines, args.path, args.type, args.limit)
    with StoredDocuments(settings, state_dir) as documents:
        hits = documents.hits(query)
    if args.json:
        print(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=2))
    elif hits:
        say_lines(as_text(hits, shutil.get_terminal_size().columns))
    else:
        # The default index depends on the working folder, so name it.
        place = f" in {state_dir.absolute()}" if settings.store_address is None and is_default(state_dir) else ""
        say(f"Nothing found{place}.", sys.stderr)
    return ExitCode.OK


def as_text(hits: Sequence[SearchHit], width: int) -> str:
    """Return the answers as text: file, location and score, and the beginning of the text."""
    return "\n\n".join(_entry(number, hit, width) for number, hit in enumerate(hits, 1))


def _entry(number: int, hit: SearchHit, width: int) -> str:
    head = f"{number:>2}  {hit.score:.2f}  {printable(hit.name)}" + (
        f"  ·  {printable(hit.place)}" if hit.place else ""
    )
    head += f"  ·  words {hit.words:.1f}, vector {hit.vector:.2f}"
    lines = textwrap.wrap(printable(" ".join(hit.text.split())), max(20, min(width, 120) - 10))
    if len(lines) > _SNIPPET_LINES:
        lines = [*lines[: _SNIPPET_LINES - 1], lines[_SNIPPET_LINES - 1] + " …"]
    return "\n".join([head, *(f"{'':10}{line}" for line in lines)])


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 100, not {text!r}")
    return int(text)
