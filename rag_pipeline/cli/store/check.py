"""``store check``: compares store, ledger and folders, several times while a pipeline runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag_pipeline.cli.store.compare import Difference, compare, store_difference
from rag_pipeline.cli.store.folders import folder_of
from rag_pipeline.cli.store.ledger_reader import LedgerPipeline, read_ledger
from rag_pipeline.cli.store.locking import lock_owner
from rag_pipeline.common.env import read_flag
from rag_pipeline.errors import RagPipelineError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.factory import ExistingStore
from rag_pipeline.ingest.types import StoredPipeline
from rag_pipeline.sources.fingerprint import fingerprint
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.mount_table import read_mount_table
from rag_pipeline.sources.local_files.scan import FOLLOW_KEY, FolderScan, FolderUnavailableError, scan_folder
from rag_pipeline.sources.local_files.source import is_below, keep_ids
from rag_pipeline.sources.local_files.unicode_ids import UnicodeIds
from rag_pipeline.sources.source import FoundFile, Snapshot, open_local

MAX_PASSES = 3
PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class CheckReport:
    """The result of a check.

    pending: how many differences a running pipeline will resolve, by pipeline id and description.
    notes: what could not be checked, and why.
    """

    differences: list[Difference]
    pipelines: int
    files: int
    chunks: int
    held_by: str | None = None
    pending: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Pass:
    """The result of one pass; ``running`` are the pipelines that a process may be running."""

    differences: list[Difference]
    stored: Mapping[str, StoredPipeline]
    running: frozenset[str]
    held_by: str | None
    notes: list[str]


def check(existing: ExistingStore, settings: IngestSettings, state_dir: Path) -> CheckReport:
    """Return the differences between store, ledger, folders and settings; writes nothing.

    A running pipeline writes the store first and the ledger a moment later, so a difference counts only if several
    passes find it. New, changed and deleted files in the folder are pending work of a running pipeline.
    """
    last_pass = _run_pass(existing, state_dir)
    lasting = set(last_pass.differences)
    for _ in range(MAX_PASSES - 1):
        if not last_pass.running or not lasting:
            break
        threading.Event().wait(PAUSE_SECONDS)  # never set: just a pause
        last_pass = _run_pass(existing, state_dir)
        lasting &= set(last_pass.differences)
    report = CheckReport(
        list(_model_differences(existing, settings)),
        len(last_pass.stored),
        sum(pipeline.files for pipeline in last_pass.stored.values()),
        sum(pipeline.chunks for pipeline in last_pass.stored.values()),
        last_pass.held_by,
        notes=last_pass.notes,
    )
    for difference in last_pass.differences:
        if difference not in lasting:
            continue
        if difference.is_pending and difference.pipeline_id in last_pass.running:
            key = difference.pipeline_id, difference.what
            report.pending[key] = report.pending.get(key, 0) + 1
        else:
            report.differences.append(difference)
    return report


def _run_pass(existing: ExistingStore, state_dir: Path) -> _Pass:
    store, is_shared = existing.store, existing.is_shared
    holder = lock_owner(state_dir)
    stored = store.pipelines()
    ledgers = read_ledger(state_dir)
    notes: list[str] = []
    differences = [store_difference(fault) for fault in store.faults()]
    for name in sorted({*stored, *ledgers}):
        files = {key: file.content_hash for key, file in store.files(name).items()}
        if name in ledgers:
            differences += _check_pipeline(name, files, ledgers[name], state_dir, notes)
        elif is_shared:
            notes.append(f"{name}: its ledger is not in {state_dir.absolute()}: only the store was checked")
        elif files:
            what = f"{len(files)} file{'' if len(files) == 1 else 's'} stored, but the ledger has no such pipeline"
            differences.append(Difference(name, None, what))
    holder = holder or lock_owner(state_dir)
    running = {name for name, pipeline in stored.items() if pipeline.held_by is not None}
    return _Pass(differences, stored, frozenset({*stored, *ledgers} if holder else running), holder, notes)


def _check_pipeline(
    name: str, stored: Mapping[str, str], ledger: LedgerPipeline, state_dir: Path, notes: list[str]
) -> Iterator[Difference]:
    location = None if ledger.source is None else ledger.source.location
    folder = None if location is None else folder_of(location)
    snapshot: Snapshot | None = None
    if folder is None:
        notes.append(f"{name}: its source, {location or 'unknown'}, is no folder here: not compared with the store")
    else:
        try:
            scanned = scan_folder(
                folder,
                exclude=os.path.realpath(state_dir),
                kernel_devices=read_mount_table().kernel,
                follow_outside=read_flag(os.environ, FOLLOW_KEY),
            )
        except FolderUnavailableError as error:
            yield Difference(name, None, f"its folder {names.display_name(folder)} can't be read: {error}", True)
        else:
            assert ledger.source is not None
            if _is_replaced(scanned, ledger.source.identity, stored):
                what = f"its folder {names.display_name(folder)} is another one than before, and empty (not mounted?)"
                yield Difference(name, None, what, True)
            else:
                snapshot = _snapshot(scanned, {*stored, *ledger.files})
                notes += (
                    f"{name}: {below}: can't be read: what is in it was not compared" for below in scanned.unlisted
                )
    yield from compare(name, stored, ledger.files, snapshot, _fingerprint_of)


def _is_replaced(scanned: FolderScan, identity: str, stored: Mapping[str, str]) -> bool:
    return bool(stored) and not scanned.files and not scanned.unreadable and scanned.identity != identity


def _snapshot(scanned: FolderScan, ids: Collection[str]) -> Snapshot:
    unicode_ids = UnicodeIds()
    unicode_ids.learn(ids)
    files, unreadable = keep_ids(scanned, unicode_ids)
    return Snapshot(files, unreadable, lambda key: is_below(key, scanned.unlisted), scanned.identity)


def _fingerprint_of(file: FoundFile, recipe: str) -> str | None:
    try:
        with open_local(names.path_of(file.uri)) as content:
            return fingerprint(content.descriptor, file.name, recipe, limit=max(file.size, 1) * 2, check=lambda: None)
    except (OSError, RagPipelineError):
        return None


def _model_differences(existing: ExistingStore, settings: IngestSettings) -> Iterator[Difference]:
    model_id, dimensions = _expected_model(settings)
    if existing.model_id != model_id or dimensions not in (None, existing.dimensions):
        configured = model_id if dimensions is None else f"{model_id} ({dimensions} dimensions)"
        stored = f"{existing.model_id} ({existing.dimensions} dimensions)"
        what = f"holds vectors of {stored}, and the settings say {configured}"
        yield Difference("", None, what)


def _expected_model(settings: IngestSettings) -> tuple[str, int | None]:
    """Return the configured model and its dimensions, None if only the model knows them; loads nothing."""
    if settings.embedding_api_url is None:
        from rag_pipeline.ingest.embed.sentence_model import model_id
        from rag_pipeline.ingest.embedding_options import Prefixes

        prefixes = Prefixes(settings.question_prefix, settings.passage_prefix)
        return model_id(settings.embedding_model_dir, prefixes), None
    from rag_pipeline.ingest.embed.factory import build_embedder

    embedder = build_embedder(settings)
    try:
        return embedder.model_id, settings.embedding_api_dimensions
    finally:
        embedder.close()
