"""The plan, by examples and by a state machine of a folder, its changes and a worker."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.sources.following.plan import WorkPlan, all_missing, make_plan
from rag_pipeline.sources.following.priorities import Priorities
from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.ledger import LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable

WALL = 1000.0


def found(*keys: str, version: str = "v1", mtime: float = 0.0, unreadable: tuple[Unreadable, ...] = ()) -> Snapshot:
    files = {key: FoundFile(key, key, "file:///" + key, 1, mtime, version) for key in keys}
    return Snapshot(files, {entry.file_id: entry for entry in unreadable}, lambda _: False, "1:1")


def stored(version: str = "v1") -> LedgerRow:
    return LedgerRow(version, Outcome.STORED, "f", "r")


def made(
    known: dict[str, LedgerRow],
    scan: Snapshot,
    busy: frozenset[str] = frozenset(),
    wall: float = WALL,
    order: Priorities | None = None,
    unfinished: frozenset[str] = frozenset(),
) -> WorkPlan:
    return make_plan(
        known, scan, StabilityCheck(2), order or Priorities(), busy=busy, unfinished=unfinished, wall=wall, mono=wall
    )


def work(result: WorkPlan) -> list[str]:
    return [file.file_id for file in result.ingest]


def test_new_and_changed_files_are_ingested_and_known_ones_are_not() -> None:
    assert work(made({"b": stored(), "c": stored("old")}, found("c", "b", "a"))) == ["a", "c"]


def test_a_young_file_waits_and_sets_the_time_of_the_next_scan() -> None:
    result = made({}, found("a", mtime=WALL - 0.5))
    assert (work(result), len(result.waiting), result.wake_seconds) == ([], 1, 1.5)


def test_a_due_retry_comes_after_new_files() -> None:
    failed = LedgerRow("v1", Outcome.FAILED, retry_at=WALL + 5)
    assert made({"a": failed}, found("a", "b")).wake_seconds == 5
    assert work(made({"a": failed}, found("a", "b"), wall=WALL + 5)) == ["b", "a"]
    assert work(made({"a": failed._replace(retry_at=None)}, found("a"))) == []


def test_missing_files_are_told_from_those_that_may_exist() -> None:
    scan = found("a")._replace(may_exist=lambda key: key.startswith("locked/"))
    known = {"a": stored(), "b": stored(), "locked/c/d": stored(), "lockedx": stored()}
    assert made(known, scan).missing == ["b", "lockedx"]


def test_an_unreadable_entry_is_reported_once() -> None:
    entry = Unreadable("x", "x", "a named pipe", is_error=False)
    assert made({}, found(unreadable=(entry,))).unreadable == [entry]
    known = {"x": LedgerRow(entry.version, Outcome.UNREADABLE)}
    assert made(known, found(unreadable=(entry,))).unreadable == []
    assert made(known, found(unreadable=(entry._replace(reason="a socket"),))).unreadable != []
    assert made(known, found()).missing == ["x"]
    assert work(made(known, found("x"))) == ["x"]


def test_files_that_the_status_does_not_show_are_done_again() -> None:
    entry = Unreadable("x", "x", "a named pipe", is_error=False)
    known = {"a": stored(), "x": LedgerRow(entry.version, Outcome.UNREADABLE)}
    result = made(known, found("a", unreadable=(entry,)), unfinished=frozenset("axz"))
    assert (work(result), result.unreadable, result.missing) == (["a"], [entry], ["z"])


def test_a_file_that_became_unreadable_is_reported() -> None:
    entry = Unreadable("x", "x", "a named pipe", is_error=False)
    result = made({"x": stored()}, found(unreadable=(entry,)))
    assert (result.unreadable, result.missing) == ([entry], [])


def test_a_renamed_file_is_work_unless_its_old_name_is_unknown() -> None:
    known = {"a": stored()._replace(name="old"), "b": stored()._replace(name="b"), "c": stored()}
    assert work(made(known, found("a", "b", "c"))) == ["a"]


def test_prioritized_files_come_first_and_postponed_ones_last() -> None:
    order = Priorities()
    order.prioritize("c")
    order.postpone("a")
    order.prioritize("gone")
    assert work(made({}, found("a", "b", "c", "d"), order=order)) == ["c", "b", "d", "a"]
    assert work(made({}, found("a", "b", "gone"), order=order)) == ["b", "gone", "a"]


def test_busy_files_are_not_planned() -> None:
    result = made({"b": stored()}, found("a"), busy=frozenset("ab"))
    assert (work(result), result.missing) == ([], [])


def test_files_that_were_put_back_are_done_again() -> None:
    entry = Unreadable("x", "x", "a named pipe", is_error=False)
    known = {"a": stored(), "x": LedgerRow(entry.version, Outcome.UNREADABLE)}
    back = frozenset({"a", "x", "new"})
    result = made(known, found("a", unreadable=(entry,)), unfinished=back)
    assert (work(result), result.unreadable, result.missing) == (["a"], [entry], ["new"])
    result = made(known, found("a", unreadable=(entry,)), busy=back, unfinished=back)
    assert (work(result), result.unreadable, result.missing) == ([], [], [])


def test_all_missing_means_that_files_are_known_and_nothing_was_found() -> None:
    assert all_missing({"a": stored()}, found())
    assert not all_missing({}, found())
    assert not all_missing({"a": stored()}, found("b"))
    assert not all_missing({"a": LedgerRow("x", Outcome.UNREADABLE)}, found())


KEYS = st.sampled_from(["a", "b", "sub/c", "sub/d"])


class Folder(RuleBasedStateMachine):
    """Files come, change, fail and go while scans and a worker take turns: in the end the store equals the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.files: dict[str, tuple[int, float]] = {}
        self.store: dict[str, int] = {}
        self.known: dict[str, LedgerRow] = {}
        self.busy: FoundFile | None = None
        self.in_flight: set[str] = set()
        self.queue: list[FoundFile] = []
        self.stability = StabilityCheck(2)
        self.priorities = Priorities()
        self.writes = 0
        self.attempts: dict[tuple[str, str], int] = {}

    @rule(key=KEYS)
    def write(self, key: str) -> None:
        self.writes += 1
        self.files[key] = (self.writes, self.now)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.files.pop(key, None)

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def scan(self) -> None:
        files = {key: FoundFile(key, key, key, 1, mtime, str(content)) for key, (content, mtime) in self.files.items()}
        busy = frozenset({self.busy.file_id} if self.busy else ())
        found = Snapshot(files, {}, lambda _: False, "")
        result = make_plan(
            self.known, found, self.stability, self.priorities,
            busy=busy, unfinished=self.in_flight, wall=self.now, mono=self.now,
        )  # fmt: skip
        self.queue = result.ingest
        assert all(file.file_id not in busy for file in result.ingest)
        assert len(set(work(result))) == len(result.ingest)
        for key in result.missing:
            self.store.pop(key, None)
            self.known.pop(key, None)
            self.in_flight.discard(key)

    @rule(key=KEYS, first=st.booleans())
    def ask(self, key: str, first: bool) -> None:
        (self.priorities.prioritize if first else self.priorities.postpone)(key)

    @rule()
    def begin(self) -> None:
        if self.busy is None and self.queue:
            self.busy = self.queue.pop(0)
            self.priorities.clear(self.busy.file_id)
            self.in_flight.add(self.busy.file_id)

    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        file, self.busy = self.busy, None
        if file is None or file.file_id not in self.files:
            return
        content = self.files[file.file_id][0]
        if str(content) != file.version:
            return  # changed during ingestion: put back
        self.in_flight.discard(file.file_id)
        key = (file.file_id, file.version)
        self.attempts[key] = self.attempts.get(key, 0) + 1
        if fails and self.attempts[key] < 3:
            self.known[file.file_id] = LedgerRow(file.version, Outcome.FAILED, retry_at=self.now + 5)
        else:
            assert self.store.get(file.file_id) != content, "the same content was stored twice"
            self.store[file.file_id] = content
            self.known[file.file_id] = LedgerRow(file.version, Outcome.STORED, str(content))

    @invariant()
    def nothing_is_stored_that_the_ledger_does_not_know(self) -> None:
        assert self.store.keys() <= self.known.keys()

    def teardown(self) -> None:
        for _ in range(12):
            self.wait(10.0)
            self.end(fails=False)
            self.scan()
            while self.queue:
                self.begin()
                self.end(fails=False)
        assert self.store == {key: content for key, (content, _) in self.files.items()}
        assert all(row.outcome is Outcome.STORED for row in self.known.values())
        assert not self.in_flight


Folder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestFolder = pytest.mark.slow(Folder.TestCase)
