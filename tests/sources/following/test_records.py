from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ledger import Ledger, Outcome, Reported, Row

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


class Watch:
    """A ledger that calls ``look`` while it is written to, and fails if it is ``full``."""

    full = False

    def __init__(self, ledger: Ledger, look: Callable[[], None]) -> None:
        self.ledger = ledger
        self.look = look

    @contextmanager
    def batch(self) -> Iterator[None]:
        with self.ledger.batch():
            yield
            self.look()
            if self.full:
                raise StateError("the disk is full")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


def contents(records: Records) -> list[str]:
    """Return the ids that have the content f1, of those with a row, as whoever looks for a twin sees them."""
    with records.lock:
        return [key for key in records.with_content("f1") if key in records.known]


def test_a_text_that_is_taken_over_has_a_file_at_every_moment(records: Records, ledger: Ledger) -> None:
    records.put("a", A)
    seen: list[list[str]] = []
    records._ledger = Watch(ledger, lambda: seen.append(contents(records)))  # type: ignore[assignment]
    records.took_over({"b": B}, {"a": "a.txt"})
    assert (seen, contents(records)) == ([["a"]], ["b"])
    assert ledger.rows() == records.known == {"b": B}


def test_a_text_that_is_taken_over_is_found_though_the_ledger_fails(records: Records, ledger: Ledger) -> None:
    records.put("a", A)
    records._ledger = Watch(ledger, lambda: None)  # type: ignore[assignment]
    records._ledger.full = True  # type: ignore[attr-defined]
    with pytest.raises(StateError):
        records.took_over({"b": B}, {"a": "a.txt"})
    assert (contents(records), records.stored) == (["b"], {"b": "f1"})
    # The next look comes back to both.
    assert (ledger.rows(), records.known) == ({"a": A}, {"a": A, "b": B._replace(version=None)})
