"""The plan, by examples and by a machine that plays a folder, its changes and a worker against each other."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.sources.following.plan import WorkPlan, all_missing, make_plan
from rag_pipeline.sources.following.priorities import Priorities
from rag_pipeline.sources.following.stability import StabilityCheck
from rag_pipeline.sources.ledger import LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile, Snapshot, Unreadable

WALL = 1000.0


def found(*keys: str, version: str = "v1", mtime: float = 0.0, odd: tuple[Unreadable, ...] = ()) -> Snapshot:
    files = {key: FoundFile(key, key, "file:///" + key, 1, mtime, version) for key in keys}
    return Snapshot(files, {o.file_id: o for o in odd}, lambda _: False, "1:1")


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


def test_new_and_changed_files_are_work_and_known_ones_are_not() -> None:
    assert work(made({"b": stored(), "c": stored("old")}, found("c", "b", "a"))) == ["a", "c"]


def test_a_young_file_waits_and_says_when_to_look_again() -> None:
    result = made({}, found("a", mtime=WALL - 0.5))
    assert (work(result), len(result.waiting), result.wake_seconds) == ([], 1, 1.5)


def test_a_failed_file_comes_again_when_it_is_due_after_the_new_ones() -> None:
    failed = LedgerRow("v1", Outcome.FAILED, retry_at=WALL + 5)
    assert made({"a": failed}, found("a", "b")).wake_seconds == 5
    assert work(made({"a": failed}, found("a", "b"), wall=WALL + 5)) == ["b", "a"]
    assert work(made({"a": failed._replace(retry_at=None)}, found("a"))) == []


def test_what_is_gone_is_told_from_what_cannot_be_seen() -> None:
    scan = found("a")._replace(may_exist=lambda key: key.startswith("locked/"))
    known = {"a": stored(), "b": stored(), "locked/c/d": stored(), "lockedx": stored()}
    assert made(known, scan).missing == ["b", "lockedx"]


def test_an_oddity_is_noted_once_and_gone_with_what_it_was() -> None:
    odd = Unreadable("x", "x", "a named pipe", is_error=False)
    assert made({}, found(odd=(odd,))).unreadable == [odd]
    known = {"x": LedgerRow(odd.version, Outcome.UNREADABLE)}
    assert made(known, found(odd=(odd,))).unreadable == []
    assert made(known, found(odd=(odd._replace(reason="a socket"),))).unreadable != []
    assert made(known, found()).missing == ["x"]
    assert work(made(known, found("x"))) == ["x"]


def test_what_the_status_does_not_show_comes_to_an_end_again_whatever_is_known_of_it() -> None:
    odd = Unreadable("x", "x", "a named pipe", is_error=False)
    known = {"a": stored(), "x": LedgerRow(odd.version, Outcome.UNREADABLE)}
    result = made(known, found("a", odd=(odd,)), unfinished=frozenset("axz"))
    assert (work(result), result.unreadable, result.missing) == (["a"], [odd], ["z"])


def test_a_file_that_became_an_oddity_is_noted() -> None:
    odd = Unreadable("x", "x", "a named pipe", is_error=False)
    result = made({"x": stored()}, found(odd=(odd,)))
    assert (result.unreadable, result.missing) == ([odd], [])


def test_a_file_under_a_new_name_is_work_and_one_whose_name_was_not_kept_is_not() -> None:
    known = {"a": stored()._replace(name="old"), "b": stored()._replace(name="b"), "c": stored()}
    assert work(made(known, found("a", "b", "c"))) == ["a"]


def test_what_people_asked_for_comes_first_or_last_and_is_forgotten_with_the_file() -> None:
    order = Priorities()
    order.prioritize("c")
    order.postpone("a")
    order.prioritize("gone")
    assert work(made({}, found("a", "b", "c", "d"), order=order)) == ["c", "b", "d", "a"]
    assert work(made({}, found("a", "b", "gone"), order=order)) == ["b", "gone", "a"]


def test_nothing_is_planned_for_what_is_being_worked_on() -> None:
    result = made({"b": stored()}, found("a"), busy=frozenset("ab"))
    assert (work(result), result.missing) == ([], [])


def test_what_was_put_back_comes_to_an_end_whatever_is_known_of_it() -> None:
    odd = Unreadable("x", "x", "a named pipe", is_error=False)
    known = {"a": stored(), "x": LedgerRow(odd.version, Outcome.UNREADABLE)}
    back = frozenset({"a", "x", "new"})
    result = made(known, found("a", odd=(odd,)), unfinished=back)
    assert (work(result), result.unreadable, result.missing) == (["a"], [odd], ["new"])
    result = made(known, found("a", odd=(odd,)), busy=back, unfinished=back)
    assert (work(result), result.unreadable, result.missing) == ([], [], [])


def test_all_gone_means_that_files_were_known_and_nothing_was_found() -> None:
    assert all_missing({"a": stored()}, found())
    assert not all_missing({}, found())
    assert not all_missing({"a": stored()}, found("b"))
    assert not all_missing({"a": LedgerRow("x", Outcome.UNREADABLE)}, found())


KEYS = st.sampled_from(["a", "b", "sub/c", "sub/d"])


class Folder(RuleBasedStateMachine):
    """Files come, change, fail and go while scans and a worker take turns: in the end the store is the folder."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.files: dict[str, tuple[int, float]] = {}
        self.store: dict[str, int] = {}
        self.known: dict[str, LedgerRow] = {}
        self.busy: FoundFile | None = None
        self.in_flight: set[str] = set()
        self.queue: list[FoundFile] = []
        self.settling = StabilityCheck(2)
        self.order = Priorities()
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
            self.known, found, self.settling, self.order,
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
        (self.order.prioritize if first else self.order.postpone)(key)

    @rule()
    def begin(self) -> None:
        if self.busy is None and self.queue:
            self.busy = self.queue.pop(0)
            self.order.clear(self.busy.file_id)
            self.in_flight.add(self.busy.file_id)

    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        file, self.busy = self.busy, None
        if file is None or file.file_id not in self.files:
            return
        content = self.files[file.file_id][0]
        if str(content) != file.version:
            return  # changed while it was read: put back
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
TestFolder = Folder.TestCase
