"""``store check``: looks at store, ledger and folders, more than once while a pipeline runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag_pipeline.cli.store.compare import Finding, compare, in_store
from rag_pipeline.cli.store.folders import folder_of
from rag_pipeline.cli.store.ledger_reader import KnownPipeline, read_ledger
from rag_pipeline.cli.store.locking import holder_of
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

LOOKS = 3
PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class Report:
    """What a check found.

    pending: how much a running pipeline has still to do, by pipeline id and what it is.
    notes: what could not be checked, and why.
    """

    findings: list[Finding]
    pipelines: int
    files: int
    chunks: int
    held_by: str | None = None
    pending: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Look:
    """What one look found; ``running`` are the pipelines that a process may be working for."""

    findings: list[Finding]
    stored: Mapping[str, StoredPipeline]
    running: frozenset[str]
    held_by: str | None
    notes: list[str]


def check(existing: ExistingStore, settings: IngestSettings, state_dir: Path) -> Report:
    """Return what does not agree. Nothing is written.

    A running pipeline writes the store first and the ledger a moment later, so a difference between the two counts
    only if it is the same in several looks. What is new, changed or gone in the folder is work that waits for it.
    """
    look = _look(existing, state_dir)
    seen = set(look.findings)
    for _ in range(LOOKS - 1):
        if not look.running or not seen:
            break
        threading.Event().wait(PAUSE_SECONDS)  # nothing sets it
        look = _look(existing, state_dir)
        seen &= set(look.findings)
    report = Report(
        list(_model_findings(existing, settings)),
        len(look.stored),
        sum(one.files for one in look.stored.values()),
        sum(one.chunks for one in look.stored.values()),
        look.held_by,
        notes=look.notes,
    )
    for finding in look.findings:
        if finding not in seen:
            continue
        if finding.is_pending and finding.pipeline_id in look.running:
            key = finding.pipeline_id, finding.what
            report.pending[key] = report.pending.get(key, 0) + 1
        else:
            report.findings.append(finding)
    return report


def _look(existing: ExistingStore, state_dir: Path) -> _Look:
    store, is_shared = existing.store, existing.is_shared
    holder = holder_of(state_dir)
    stored = store.pipelines()
    known = read_ledger(state_dir)
    notes: list[str] = []
    findings = [in_store(fault) for fault in store.faults()]
    for name in sorted({*stored, *known}):
        files = {key: file.content_hash for key, file in store.files(name).items()}
        if name in known:
            findings += _of_pipeline(name, files, known[name], state_dir, notes)
        elif is_shared:
            notes.append(f"{name}: its ledger is not in {state_dir.absolute()}: only the store was checked")
        elif files:
            s = "" if len(files) == 1 else "s"
            findings.append(Finding(name, None, f"{len(files)} file{s} stored, but the ledger has no such pipeline"))
    holder = holder or holder_of(state_dir)
    running = {name for name, one in stored.items() if one.held_by is not None}
    return _Look(findings, stored, frozenset({*stored, *known} if holder else running), holder, notes)


def _of_pipeline(
    name: str, stored: Mapping[str, str], known: KnownPipeline, state_dir: Path, notes: list[str]
) -> Iterator[Finding]:
    place = None if known.source is None else known.source.location
    folder = None if place is None else folder_of(place)
    found: Snapshot | None = None
    if folder is None:
        notes.append(f"{name}: its source, {place or 'unknown'}, is no folder here: not compared with the store")
    else:
        try:
            scanned = scan_folder(
                folder,
                exclude=os.path.realpath(state_dir),
                kernel_devices=read_mount_table().kernel,
                follow_outside=read_flag(os.environ, FOLLOW_KEY),
            )
        except FolderUnavailableError as error:
            yield Finding(name, None, f"its folder {names.display_name(folder)} can't be read: {error}", True)
        else:
            assert known.source is not None
            if _is_another(scanned, known.source.identity, stored):
                what = f"its folder {names.display_name(folder)} is another one than before, and empty (not mounted?)"
                yield Finding(name, None, what, True)
            else:
                found = _found(scanned, {*stored, *known.files})
                notes += (
                    f"{name}: {below}: can't be read: what is in it was not compared" for below in scanned.unlisted
                )
    yield from compare(name, stored, known.files, found, _content_of)


def _is_another(scanned: FolderScan, identity: str, stored: Mapping[str, str]) -> bool:
    return bool(stored) and not scanned.files and not scanned.unreadable and scanned.identity != identity


def _found(scanned: FolderScan, ids: Collection[str]) -> Snapshot:
    forms = UnicodeIds()
    forms.learn(ids)
    files, unreadable = keep_ids(scanned, forms)
    return Snapshot(files, unreadable, lambda key: is_below(key, scanned.unlisted), scanned.identity)


def _content_of(file: FoundFile, recipe: str) -> str | None:
    try:
        with open_local(names.path_of(file.uri)) as content:
            return fingerprint(content.descriptor, file.name, recipe, limit=max(file.size, 1) * 2, check=lambda: None)
    except (OSError, RagPipelineError):
        return None


def _model_findings(existing: ExistingStore, settings: IngestSettings) -> Iterator[Finding]:
    model_id, dimensions = _expected_model(settings)
    if existing.model_id != model_id or dimensions not in (None, existing.dimensions):
        asked = model_id if dimensions is None else f"{model_id} ({dimensions} dimensions)"
        what = f"holds vectors of {existing.model_id} ({existing.dimensions} dimensions), and the settings say {asked}"
        yield Finding("", None, what)


def _expected_model(settings: IngestSettings) -> tuple[str, int | None]:
    """Return the model of the settings and its dimensions, None if only the endpoint knows; loads and asks nothing."""
    if settings.embedding_api_url is None:
        from rag_pipeline.ingest.embed.minilm import DIMENSIONS, MODEL_ID

        return MODEL_ID, DIMENSIONS
    from rag_pipeline.ingest.embed.factory import build_embedder

    embedder = build_embedder(settings)
    try:
        return embedder.model_id, settings.embedding_api_dimensions
    finally:
        embedder.close()
