"""Group commits: one commit for all waiting threads, and errors only for the thread concerned."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from rag_pipeline.ingest.store.lance import group_commit
from rag_pipeline.ingest.store.lance.group_commit import GROUP_LIMIT, GroupCommit


class Target:
    """Records the committed groups; ``fault`` is called before each commit."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.groups: list[list[str]] = []
        self.fault: Callable[[Sequence[str]], None] = lambda _: None
        self.group = GroupCommit[str](self.lock, self.commit)
        self.errors: dict[str, BaseException] = {}

    def commit(self, items: Sequence[str]) -> None:
        self.fault(items)
        self.groups.append(list(items))

    def submit(self, item: str) -> None:
        try:
            self.group.submit(item)
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.errors[item] = error

    def submit_together(self, *items: str) -> None:
        """Submit each item in its own thread, in order, before any is committed."""
        threads = [threading.Thread(target=self.submit, args=(item,)) for item in items]
        with self.lock:
            for number, thread in enumerate(threads, 1):
                thread.start()
                self.wait_for_waiting(number)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait_for_waiting(self, count: int) -> None:
        for _ in range(6000):
            if len(self.group._waiting) == count:
                return
            threading.Event().wait(0.01)
        raise AssertionError("waited in vain")


@pytest.fixture
def target() -> Target:
    return Target()


def test_waiting_items_are_committed_together_in_order(target: Target) -> None:
    target.submit_together("a", "b", "c")
    assert target.groups == [["a", "b", "c"]]
    assert target.errors == {}


def test_a_group_has_a_limit(target: Target) -> None:
    target.submit_together(*map(str, range(GROUP_LIMIT + 3)))
    assert [len(group) for group in target.groups] == [GROUP_LIMIT, 3]


def test_an_error_is_raised_in_the_thread_of_its_item(target: Target) -> None:
    def refuse(items: Sequence[str]) -> None:
        if "bad" in items:
            raise ValueError("bad")

    target.fault = refuse
    target.submit_together("a", "bad", "c")
    assert target.groups == [["a"], ["c"]]
    assert target.errors.keys() == {"bad"}
    assert isinstance(target.errors["bad"], ValueError)


def test_an_interrupted_thread_does_not_affect_the_others(target: Target) -> None:
    faults = [KeyboardInterrupt()]

    def interrupt(_: Sequence[str]) -> None:
        if faults:
            raise faults.pop()

    target.fault = interrupt
    target.submit_together("a", "b", "c")
    assert len(target.errors) == 1
    (interrupted,) = target.errors
    assert sorted(item for group in target.groups for item in group) == sorted({"a", "b", "c"} - {interrupted})
    assert target.group._waiting == []


def test_a_thread_that_has_just_committed_is_expected_again(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_WAIT_SECONDS", 60.0)
    target.submit("first")
    target.group._expected[threading.get_ident()] = time.monotonic() + 60
    other = threading.Thread(target=target.submit, args=("of the other",))
    other.start()
    target.wait_for_waiting(1)
    target.submit("second")
    other.join(60)
    assert target.groups == [["first"], ["of the other", "second"]]


def test_after_a_useless_wait_the_next_commits_do_not_wait(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = -1
    target.group._expected[nobody] = time.monotonic() + 0.01
    target.submit("waits")

    def fail(_: object) -> None:
        raise AssertionError("waited again")

    monkeypatch.setattr(target.group, "_wait_for_others", fail)
    target.group._expected[nobody] = time.monotonic() + 3600
    target.submit("does not wait")
    assert target.errors == {}
    assert target.groups == [["waits"], ["does not wait"]]
