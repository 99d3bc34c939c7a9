"""``store check``: compares store, ledger and folder of one pipeline; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rag_pipeline.cli.store.ledger_reader import LedgerFile
from rag_pipeline.ingest.types import StoreFault, StoreFaultKind
from rag_pipeline.sources.ledger import Outcome
from rag_pipeline.sources.source import FoundFile, Snapshot

Fingerprinter = Callable[[FoundFile, str], str | None]
"""Returns the current fingerprint of a file for a configuration hash; None if the file is unreadable."""


class Difference(NamedTuple):
    """One difference.

    pipeline_id: empty for the store itself.
    file_id: None for the whole pipeline.
    is_pending: whether a running pipeline will resolve it.
    state: the fingerprints that were compared; differences of two passes are the same only if these are equal.
    """

    pipeline_id: str
    file_id: str | None
    what: str
    is_pending: bool = False
    state: tuple[str | None, ...] = ()


def compare(
    pipeline_id: str,
    stored: Mapping[str, str],
    ledger: Mapping[str, LedgerFile],
    snapshot: Snapshot | None,
    fingerprint_of: Fingerprinter,
) -> Iterator[Difference]:
    """Yield the differences in the order of file ids.

    stored: fingerprints in the store, by file id.
    ledger: rows of the ledger, by file id.
    snapshot: the folder's current content, None if it is unknown.
    """
    keys = {*stored, *ledger} if snapshot is None else {*stored, *ledger, *snapshot.files}
    for key in sorted(keys):
        fingerprint, row = stored.get(key), ledger.get(key)
        state = (fingerprint, row and row.fingerprint, row and row.outcome)
        if (what := _against_ledger(fingerprint, row)) is not None:
            yield Difference(pipeline_id, key, what, state=state)
        if snapshot is None:
            continue
        if (what := _against_folder(key, fingerprint, row, snapshot, fingerprint_of)) is not None:
            yield Difference(pipeline_id, key, what, is_pending=True, state=state)


def store_difference(fault: StoreFault) -> Difference:
    """Return the difference for a fault within the store."""
    count, s = fault.count, "" if fault.count == 1 else "s"
    match fault.kind:
        case StoreFaultKind.CHUNKS_WITHOUT_FILE:
            what = f"leftover: {count} chunk{s} that no file shows"
        case StoreFaultKind.REPLACED_ROWS:
            what = f"leftover: {count} replaced row{s} of the file"
        case StoreFaultKind.SEVERAL_ROWS:
            what = f"stored {count} times under this id"
        case StoreFaultKind.MISSING_CHUNKS:
            what = f"{count} of its chunks {'is' if count == 1 else 'are'} missing in the store"
        case StoreFaultKind.WRONG_VECTORS:
            what = f"{count} of its chunks {'has' if count == 1 else 'have'} no vector, or one of another width"
    return Difference(fault.pipeline_id, fault.file_id, what)


def _against_ledger(fingerprint: str | None, row: LedgerFile | None) -> str | None:
    if fingerprint is None:
        is_lost = row is not None and row.outcome is Outcome.STORED
        return "in the ledger as stored, but not in the store" if is_lost else None
    if row is None:
        return "stored, but not in the ledger"
    if row.outcome is Outcome.STORED:
        return None if row.fingerprint == fingerprint else "stored with another fingerprint than the ledger has"
    # The text of a failed file stays stored, because its error may be temporary.
    if row.outcome is Outcome.SKIPPED or (row.outcome is Outcome.UNREADABLE and not row.attempts):
        return "stored, but in the ledger as skipped"
    return None


def _against_folder(
    key: str, fingerprint: str | None, row: LedgerFile | None, snapshot: Snapshot, fingerprint_of: Fingerprinter
) -> str | None:
    file = snapshot.files.get(key)
    if file is not None:
        return _changed(file, fingerprint, row, fingerprint_of)
    if key in snapshot.unreadable:
        unreadable = snapshot.unreadable[key]
        is_stored = fingerprint is not None and row is not None and row.outcome is Outcome.STORED
        return (
            f"stored, but no document any more: {unreadable.reason}" if is_stored and not unreadable.is_error else None
        )
    if snapshot.may_exist(key):
        return None
    if fingerprint is not None:
        return "gone from the folder, but stored"
    return "gone from the folder, but in the ledger"


def _changed(
    file: FoundFile, fingerprint: str | None, row: LedgerFile | None, fingerprint_of: Fingerprinter
) -> str | None:
    if fingerprint is None and row is None:
        return "in the folder, but neither stored nor in the ledger"
    if row is not None and row.version == file.version:
        return None
    if fingerprint is None:
        is_newer = row is not None and row.version is not None and row.outcome is not Outcome.STORED
        return f"changed in the folder since it {_PAST[row.outcome]}" if is_newer and row is not None else None
    # Its times or inode have changed; compare the content.
    if fingerprint_of(file, fingerprint.rpartition("-")[2]) == fingerprint:
        return None
    return "changed in the folder since it was stored"


_PAST = {Outcome.SKIPPED: "was skipped", Outcome.FAILED: "failed", Outcome.UNREADABLE: "was skipped"}
