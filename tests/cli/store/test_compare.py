"""Comparison of a single file."""

from __future__ import annotations

import pytest

from rag_pipeline.cli.store.compare import compare, store_difference
from rag_pipeline.cli.store.ledger_reader import LedgerFile
from rag_pipeline.ingest.types import StoreFault, StoreFaultKind
from rag_pipeline.sources.ledger import Outcome
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable

STORED = LedgerFile(Outcome.STORED, "h-r", "1")
SKIPPED = LedgerFile(Outcome.SKIPPED, None, "1")
FAILED = LedgerFile(Outcome.FAILED, None, "1", 2)
ODD = LedgerFile(Outcome.UNREADABLE, None, "a pipe")
UNREADABLE = LedgerFile(Outcome.UNREADABLE, None, "no permission", 1)


def differences(
    fingerprint: str | None, row: LedgerFile | None, found: Snapshot | None = None, content: str | None = "h-r"
) -> list[tuple[str, bool]]:
    stored = {} if fingerprint is None else {"a": fingerprint}
    known = {} if row is None else {"a": row}
    made = list(compare("p", stored, known, found, lambda _, recipe: content if recipe == "r" else None))
    assert all((each.pipeline_id, each.file_id) == ("p", "a") for each in made)
    return [(each.what, each.is_pending) for each in made]


def folder(version: str | None = None, odd: Unreadable | None = None, *, unknown: bool = False) -> Snapshot:
    files = {} if version is None else {"a": FoundFile("a", "a", "file:///a", 1, 0.0, version)}
    return Snapshot(files, {} if odd is None else {"a": odd}, lambda _: unknown, "1:2")


@pytest.mark.parametrize(
    ("fingerprint", "row", "what"),
    [
        ("h-r", STORED, None),
        (None, SKIPPED, None),
        (None, FAILED, None),
        ("h-r", FAILED, None),
        ("h-r", UNREADABLE, None),
        ("h-r", None, "stored, but not in the ledger"),
        (None, STORED, "in the ledger as stored, but not in the store"),
        ("x-r", STORED, "stored with another fingerprint than the ledger has"),
        ("h-r", SKIPPED, "stored, but in the ledger as skipped"),
        ("h-r", ODD, "stored, but in the ledger as skipped"),
    ],
)
def test_store_and_ledger(fingerprint: str | None, row: LedgerFile | None, what: str | None) -> None:
    assert differences(fingerprint, row) == ([] if what is None else [(what, False)])


@pytest.mark.parametrize(
    ("fingerprint", "row", "found", "what"),
    [
        ("h-r", STORED, folder("1"), None),
        (None, FAILED, folder("1"), None),
        (None, ODD, folder(odd=Unreadable("a", "a", "a pipe", False)), None),
        (None, None, folder(odd=Unreadable("a", "a", "a pipe", False)), None),
        ("h-r", STORED, folder(odd=Unreadable("a", "a", "no permission", True)), None),
        ("h-r", STORED, folder(unknown=True), None),
        (None, None, folder("1"), "in the folder, but neither stored nor in the ledger"),
        (None, FAILED, folder("2"), "changed in the folder since it failed"),
        (None, SKIPPED, folder("2"), "changed in the folder since it was skipped"),
        ("h-r", STORED, folder(), "gone from the folder, but stored"),
        (None, SKIPPED, folder(), "gone from the folder, but in the ledger"),
        ("h-r", STORED, folder(odd=Unreadable("a", "a", "a pipe", False)), "stored, but no document any more: a pipe"),
    ],
)
def test_store_and_ledger_against_the_folder(
    fingerprint: str | None, row: LedgerFile | None, found: Snapshot, what: str | None
) -> None:
    assert differences(fingerprint, row, found) == ([] if what is None else [(what, True)])


def test_new_times_with_the_same_content_are_no_change() -> None:
    assert differences("h-r", STORED, folder("2"), content="h-r") == []
    changed = [("changed in the folder since it was stored", True)]
    assert differences("h-r", STORED, folder("2"), content="other-r") == changed
    assert differences("h-r", STORED, folder("2"), content=None) == changed


def test_a_difference_is_the_same_only_with_the_same_fingerprints() -> None:
    one, other = (set(compare("p", {"a": text}, {}, None, lambda *_: None)) for text in ("x-r", "y-r"))
    assert one != other


@pytest.mark.parametrize(
    ("kind", "count", "what"),
    [
        (StoreFaultKind.CHUNKS_WITHOUT_FILE, 1, "leftover: 1 chunk that no file shows"),
        (StoreFaultKind.REPLACED_ROWS, 2, "leftover: 2 replaced rows of the file"),
        (StoreFaultKind.SEVERAL_ROWS, 2, "stored 2 times under this id"),
        (StoreFaultKind.MISSING_CHUNKS, 1, "1 of its chunks is missing in the store"),
        (StoreFaultKind.WRONG_VECTORS, 2, "2 of its chunks have no vector, or one of another width"),
    ],
)
def test_a_fault_in_the_store_is_one_line(kind: StoreFaultKind, count: int, what: str) -> None:
    difference = store_difference(StoreFault("p", "a", kind, count))
    assert (difference.pipeline_id, difference.file_id, difference.what, difference.is_pending) == (
        "p",
        "a",
        what,
        False,
    )
