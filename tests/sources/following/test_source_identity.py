from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.sources.following.source_identity import SourceIdentity
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome, SourceRecord
from rag_pipeline.sources.source import FoundFile, Snapshot, SourceUnavailableError

KNOWN = {"a": LedgerRow("v1", Outcome.STORED)}


def found(identity: str, *keys: str) -> Snapshot:
    return Snapshot({key: FoundFile(key, key, key, 1, 0.0, "v1") for key in keys}, {}, lambda _: False, identity)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path, "scope") as ledger:
        yield ledger


def check(identity: SourceIdentity, snapshot: Snapshot) -> bool:
    return identity.check(snapshot, KNOWN, nullcontext())


def test_the_first_source_is_recorded(ledger: Ledger) -> None:
    assert not check(SourceIdentity(ledger, "scope", "/docs"), found("1:1", "a"))
    assert ledger.source() == SourceRecord("/docs", "1:1")
    assert not check(
        SourceIdentity(ledger, "scope", "/docs"), found("1:1")
    )  # the same folder, empty: its files were deleted


def test_an_unrecorded_empty_folder_is_unavailable_while_files_are_known(ledger: Ledger) -> None:
    identity = SourceIdentity(ledger, "scope", "/docs")
    with pytest.raises(SourceUnavailableError, match=r"not mounted\?\): nothing is taken for deleted"):
        check(identity, found("1:1"))
    assert ledger.source() is None
    assert not identity.check(found("1:1"), {}, nullcontext())
    assert ledger.source() == SourceRecord("/docs", "1:1")


def test_another_location_for_the_same_collection_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ledger.set_source(SourceRecord("/elsewhere", "1:1"))
    with pytest.raises(StateError, match=f"{tmp_path} keeps 'scope' for /elsewhere, not for /docs"):
        SourceIdentity(ledger, "scope", "/docs")


def test_another_folder_at_the_location_is_accepted_if_it_is_not_empty(ledger: Ledger) -> None:
    identity = SourceIdentity(ledger, "scope", "/docs")
    check(identity, found("1:1", "a"))
    with pytest.raises(SourceUnavailableError, match="not mounted"):
        check(identity, found("2:2"))
    assert ledger.source() == SourceRecord("/docs", "1:1")
    assert check(identity, found("2:2", "b"))
    assert ledger.source() == SourceRecord("/docs", "2:2")
