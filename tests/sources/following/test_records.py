from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ledger import EventPosition, Ledger, LedgerRow, Outcome

A, B = LedgerRow("v1", Outcome.STORED, "f1", name="a.txt"), LedgerRow("v1", Outcome.STORED, "f1", name="b.txt")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path, "scope") as made:
        yield made


@pytest.fixture
def records(ledger: Ledger) -> Records:
    return Records(ledger, {}, {"a": "f1"}, {"a": "a.txt"}, threading.RLock())


def disk_is_full(*_: object) -> None:
    raise StateError("the disk is full")


def test_files_are_found_by_their_stored_fingerprint(records: Records) -> None:
    assert list(records.with_content("f1")) == ["a"]
    records.set_stored({"a": None, "b": "f1", "c": "f2"})
    assert (records.stored, list(records.with_content("f1"))) == ({"b": "f1", "c": "f2"}, ["b"])
    records.set_stored({"b": "f2"})
    assert (list(records.with_content("f1")), list(records.with_content("f2"))) == ([], ["c", "b"])


def test_a_move_is_one_transaction_of_the_ledger(
    records: Records, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put("a", A)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "remove", disk_is_full)
        with pytest.raises(StateError):
            records.record_reuse({"b": B}, {"a": "a.txt"})
    assert ledger.rows() == {"a": A}
    records.record_reuse({"b": B}, {"a": "a.txt"})
    assert ledger.rows() == records.rows == {"b": B}
    assert ledger.find_unreported(EventPosition("e", 9), {}) == {"a": "a.txt", "b": "b.txt"}


def test_a_deletion_that_the_ledger_refuses_changes_nothing(
    records: Records, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put("a", A)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "remove", disk_is_full)
        with pytest.raises(StateError):
            records.remove({"a": "a.txt"})
    assert ledger.rows() == records.rows == {"a": A}
    records.remove({"a": "a.txt"})
    assert ledger.rows() == records.rows == {}


def test_reported_files_are_no_longer_unreported(records: Records, ledger: Ledger) -> None:
    records.put("b", B)
    records.remove({"a": "a.txt"})
    records.mark_reported(["b"], ["a"], EventPosition("e", 7))
    assert records.unreported == {}
    assert ledger.find_unreported(EventPosition("e", 9), {}) == {}


def test_a_name_comes_from_the_row_then_the_other_names_then_the_id(records: Records) -> None:
    records.put("a", A)
    assert [records.name_of(key, {"x": "other"}) for key in ("a", "x", "y")] == ["a.txt", "other", "y"]


class WatchedLedger:
    """A ledger that calls ``on_write`` within each transaction, and fails if it is ``full``."""

    full = False

    def __init__(self, ledger: Ledger, on_write: Callable[[], None]) -> None:
        self.ledger = ledger
        self.on_write = on_write

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.ledger.transaction():
            yield
            self.on_write()
            if self.full:
                raise StateError("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


def contents(records: Records) -> list[str]:
    """Return the ids with the content f1 that have a row, as ContentOwners sees them."""
    with records.lock:
        return [key for key in records.with_content("f1") if key in records.rows]


def test_a_reused_text_has_an_owner_at_every_moment(records: Records, ledger: Ledger) -> None:
    records.put("a", A)
    seen: list[list[str]] = []
    records._ledger = WatchedLedger(ledger, lambda: seen.append(contents(records)))  # type: ignore[assignment]
    records.record_reuse({"b": B}, {"a": "a.txt"})
    assert (seen, contents(records)) == ([["a"]], ["b"])
    assert ledger.rows() == records.rows == {"b": B}


def test_a_reused_text_is_found_though_the_ledger_fails(records: Records, ledger: Ledger) -> None:
    records.put("a", A)
    records._ledger = WatchedLedger(ledger, lambda: None)  # type: ignore[assignment]
    records._ledger.full = True  # type: ignore[attr-defined]
    with pytest.raises(StateError):
        records.record_reuse({"b": B}, {"a": "a.txt"})
    assert (contents(records), records.stored) == (["b"], {"b": "f1"})
    # The next scan repeats both.
    assert (ledger.rows(), records.rows) == ({"a": A}, {"a": A, "b": B._replace(version=None)})
