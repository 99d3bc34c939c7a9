from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.pipelines.following.records import Records
from rag_pipeline.pipelines.ledger import Ledger, Outcome, Reported, Row

A, B = Row("v1", Outcome.STORED, "f1", name="a.txt"), Row("v1", Outcome.STORED, "f1", name="b.txt")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path, "scope") as made:
        yield made


@pytest.fixture
def records(ledger: Ledger) -> Records:
    return Records(ledger, {}, {"a": "f1"}, {"a": "a.txt"}, threading.RLock())


def test_files_are_found_by_what_is_stored_of_them(records: Records) -> None:
    assert list(records.with_content("f1")) == ["a"]
    records.set_stored({"a": None, "b": "f1", "c": "f2"})
    assert (records.stored, list(records.with_content("f1"))) == ({"b": "f1", "c": "f2"}, ["b"])
    records.set_stored({"b": "f2"})
    assert (list(records.with_content("f1")), list(records.with_content("f2"))) == ([], ["c", "b"])


def test_a_move_is_one_step_of_the_ledger_or_none(
    records: Records, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put("a", A)
    full = StateError("the disk is full")

    def fail(*_: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "remove", fail)
        with pytest.raises(StateError):
            records.change({"b": B}, {"a": "a.txt"})
    assert ledger.rows() == records.known == {"a": A}
    records.change({"b": B}, {"a": "a.txt"})
    assert ledger.rows() == records.known == {"b": B}
    assert ledger.unreported(Reported("e", 9), {}) == {"a": "a.txt", "b": "b.txt"}


def test_what_is_reported_is_owed_no_more(records: Records, ledger: Ledger) -> None:
    records.change({"b": B}, {"a": "a.txt"})
    records.reported(["b"], ["a"], Reported("e", 7))
    assert records.unreported == {}
    assert ledger.unreported(Reported("e", 9), {}) == {}


def test_a_name_is_that_of_the_row_or_of_what_is_owed_or_the_id(records: Records) -> None:
    records.put("a", A)
    assert [records.name_of(key, {"x": "owed"}) for key in ("a", "x", "y")] == ["a.txt", "owed", "y"]
