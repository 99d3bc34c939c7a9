"""``rag-pipeline store``: maintains the stored text."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rag_pipeline.cli.arguments import add_state_dir
from rag_pipeline.cli.store.check import CheckReport, check
from rag_pipeline.cli.store.drop import drop
from rag_pipeline.cli.store.folders import is_there
from rag_pipeline.cli.store.ledger_reader import read_ledger
from rag_pipeline.cli.store.listing import PipelineSummary, as_table, list_pipelines
from rag_pipeline.cli.store.locking import abandoned_lease_owner, lock_owner, locked
from rag_pipeline.common.printing import say, say_lines
from rag_pipeline.errors import ConfigurationError, ExitCode, StateError
from rag_pipeline.ingest.installed import check_modules
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import STORE_NAME, read_state_dir
from rag_pipeline.ingest.store.factory import open_existing

if TYPE_CHECKING:
    from rag_pipeline.ingest.store.factory import ExistingStore

DESCRIPTION = (
    "Maintain the stored text: the store in the state folder or the one of RAG_STORE_URL, "
    "and the ledger in the state folder."
)
EPILOG = (
    "Exit codes: 0 done, or no differences; 2 there is no such pipeline, or drop was not confirmed; 5 a pipeline runs, "
    "or the ledger can't be read; 6 nothing is stored, or the store can't be used; "
    "11 drop was answered with no; 13 check found differences."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    actions = parser.add_subparsers(metavar="list|drop|check|compact", required=True, dest="action")
    listed = actions.add_parser("list", help="show what is stored, by pipeline")
    listed.add_argument("--json", action="store_true", help="print a JSON object")
    dropped = actions.add_parser("drop", help="remove a pipeline's text from store and ledger")
    dropped.add_argument("id", metavar="ID", help="id of the pipeline, as list shows it")
    dropped.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    checked = actions.add_parser("check", help="compare store, ledger and folder; changes nothing")
    compacted = actions.add_parser("compact", help="free unused disk space")
    for action in (listed, dropped, checked, compacted):
        add_state_dir(action)


def run(args: argparse.Namespace) -> int:
    """Run the chosen action; raises StoreError, StateError or ConfigurationError."""
    settings = IngestSettings.from_env()
    check_modules(settings)
    state_dir: Path = args.state_dir or read_state_dir()
    actions: Mapping[str, Callable[[], int]] = {
        "list": lambda: _list(settings, state_dir, as_json=args.json),
        "drop": lambda: _drop(settings, state_dir, _key(args), args.id, confirmed=args.yes),
        "check": lambda: _check(settings, state_dir),
        "compact": lambda: _compact(settings, state_dir, _key(args)),
    }
    return actions[args.action]()


def _list(settings: IngestSettings, state_dir: Path, *, as_json: bool) -> int:
    existing = open_existing(settings, state_dir / STORE_NAME)
    try:
        entries = _entries(existing, state_dir)
    finally:
        existing.store.close()
    holder = lock_owner(state_dir)
    if as_json:
        fields = {
            "store": existing.location,
            "state_dir": str(state_dir.absolute()),
            "model_id": existing.model_id,
            "dimensions": existing.dimensions,
            "held_by": holder,
            "pipelines": [entry.as_json() for entry in entries],
        }
        print(json.dumps(fields, ensure_ascii=False, indent=2))
        return ExitCode.OK
    say(f"{existing.location}: vectors of {existing.model_id}, {existing.dimensions} dimensions")
    if holder is not None:
        say(f"in use by process {holder}")
    say_lines(f"\n{as_table(entries)}" if entries else "no pipeline has stored anything")
    return ExitCode.OK


def _drop(settings: IngestSettings, state_dir: Path, key: str, pipeline_id: str, *, confirmed: bool) -> int:
    existing = open_existing(settings, state_dir / STORE_NAME)
    try:
        entries = {entry.pipeline_id: entry for entry in _entries(existing, state_dir)}
    finally:
        existing.store.close()
    entry = entries.get(pipeline_id)
    if entry is None:
        known = f"there are {', '.join(map(repr, entries))}" if entries else "there is none"
        raise ConfigurationError(f"{existing.location} has no pipeline {pipeline_id!r}: {known}")
    _refuse_if_in_use(existing, entry, state_dir)
    what = f"{_count(entry.files, 'file')} with {_count(entry.chunks, 'chunk')} of {pipeline_id}"
    if not confirmed and not _confirm(what, existing.location):
        say("nothing was removed", sys.stderr)
        return ExitCode.REFUSED
    drop(settings, state_dir, key, pipeline_id)
    say(f"removed {what} from {existing.location}")
    return ExitCode.OK


def _check(settings: IngestSettings, state_dir: Path) -> int:
    existing = open_existing(settings, state_dir / STORE_NAME)
    try:
        report = check(existing, settings, state_dir)
    finally:
        existing.store.close()
    _print_notes(report)
    for difference in report.differences:
        subject = (
            part for part in (difference.pipeline_id or existing.location, difference.file_id) if part is not None
        )
        say(": ".join((*subject, difference.what)))
    counts = ", ".join(
        (_count(report.pipelines, "pipeline"), _count(report.files, "file"), _count(report.chunks, "chunk"))
    )
    if report.differences:
        say(f"{counts}: {_count(len(report.differences), 'difference')}")
        return ExitCode.DISAGREEMENT
    say(f"{counts}: all agrees")
    return ExitCode.OK


def _print_notes(report: CheckReport) -> None:
    if report.held_by is not None:
        say(f"note: process {report.held_by} runs here: its pending work does not count as differences", sys.stderr)
    for (pipeline_id, what), count in sorted(report.pending.items()):
        say(f"note: {pipeline_id}: waits for the pipeline: {what} ({count})", sys.stderr)
    for note in report.notes:
        say(f"note: {note}", sys.stderr)


def _compact(settings: IngestSettings, state_dir: Path, key: str) -> int:
    if settings.store_address is not None:
        existing = open_existing(settings, state_dir / STORE_NAME)
        try:
            existing.store.tidy()
        finally:
            existing.store.close()
        say(f"{existing.location}: vacuumed and analyzed; PostgreSQL's autovacuum does the same by itself")
        return ExitCode.OK
    folder = state_dir / STORE_NAME
    open_existing(settings, folder).store.close()  # raises before the folder is locked
    with locked(state_dir, key):
        existing = open_existing(settings, folder)
        try:
            before = _size(folder)
            existing.store.tidy()
            after = _size(folder)
        finally:
            existing.store.close()
    say(f"{existing.location}: {before} before, {after} now")
    return ExitCode.OK


def _entries(existing: ExistingStore, state_dir: Path) -> list[PipelineSummary]:
    return list_pipelines(existing.store.pipelines(), read_ledger(state_dir), is_there)


def _refuse_if_in_use(existing: ExistingStore, entry: PipelineSummary, state_dir: Path) -> None:
    """Raise StateError if a process runs the pipeline. A process that starts later is refused by the lock or lease."""
    if not existing.is_shared and (holder := lock_owner(state_dir)) is not None:
        raise StateError(f"the state folder {state_dir.absolute()} is in use by process {holder}: stop it first")
    if entry.held_by is not None and entry.held_by != abandoned_lease_owner(state_dir):
        raise StateError(
            f"the pipeline {entry.pipeline_id!r} is run by a process of {entry.held_by}: stop it first "
            "(the lease of a killed process expires after a minute)"
        )


def _confirm(what: str, place: str) -> bool:
    """Ask on the terminal; raises ConfigurationError if there is none."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigurationError(f"drop would remove {what} from {place}: give --yes to confirm it")
    say(f"Remove {what} from {place}? [y/N] ", sys.stderr, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(folder: Path) -> str:
    sizes = [os.path.getsize(path) for path in folder.rglob("*") if path.is_file()]  # noqa: PTH202
    total = sum(sizes)
    return f"{_count(len(sizes), 'file')} of " + (f"{total / 1e6:.1f} MB" if total >= 1e6 else f"{total / 1e3:.1f} kB")


def _key(args: argparse.Namespace) -> str:
    return "--state-dir" if args.state_dir else "STATUS_STATE_DIR"
