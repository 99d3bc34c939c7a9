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


def confirm(place: SourceIdentity, what: Snapshot) -> bool:
    return place.check(what, KNOWN, nullcontext())


def test_the_first_place_is_taken_and_kept(ledger: Ledger) -> None:
    assert not confirm(SourceIdentity(ledger, "scope", "/docs"), found("1:1", "a"))
    assert ledger.source() == SourceRecord("/docs", "1:1")
    assert not confirm(
        SourceIdentity(ledger, "scope", "/docs"), found("1:1")
    )  # the same, empty: its files were deleted


def test_without_a_record_of_the_place_an_empty_one_is_not_believed_while_files_are_known(ledger: Ledger) -> None:
    place = SourceIdentity(ledger, "scope", "/docs")
    with pytest.raises(SourceUnavailableError, match=r"not mounted\?\): nothing is taken for deleted"):
        confirm(place, found("1:1"))
    assert ledger.source() is None
    assert not place.check(found("1:1"), {}, nullcontext())
    assert ledger.source() == SourceRecord("/docs", "1:1")


def test_another_place_under_the_same_scope_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    ledger.set_source(SourceRecord("/elsewhere", "1:1"))
    with pytest.raises(StateError, match=f"{tmp_path} keeps 'scope' for /elsewhere, not for /docs"):
        SourceIdentity(ledger, "scope", "/docs")


def test_something_else_in_its_place_is_believed_if_there_is_anything_in_it(ledger: Ledger) -> None:
    place = SourceIdentity(ledger, "scope", "/docs")
    confirm(place, found("1:1", "a"))
    with pytest.raises(SourceUnavailableError, match="not mounted"):
        confirm(place, found("2:2"))
    assert ledger.source() == SourceRecord("/docs", "1:1")
    assert confirm(place, found("2:2", "b"))
    assert ledger.source() == SourceRecord("/docs", "2:2")
