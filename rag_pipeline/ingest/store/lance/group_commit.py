"""Commits that several threads ask for at the same time, done together by one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
GROUP_LIMIT = 32
LONGEST_WAIT_SECONDS = 0.1
"""A thread that comes back sooner after a commit, and within twice the time that took, is waited for."""
_LONGEST_BREAK = 64  # commits without waiting, after waits that were in vain


class _Entry(Generic[Item]):
    """What one thread wants committed, and what became of it."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.thread = threading.get_ident()
        self.is_done = False
        self.error: Exception | None = None


class GroupCommit(Generic[Item]):
    """Commits the items of all threads that wait, in the order they came; safe under threads.

    A thread that writes again and again meets the others at each commit, so they wait for each other for a moment.
    """

    def __init__(self, lock: threading.Lock, commit: Callable[[Sequence[Item]], None]) -> None:
        """Call ``commit`` with the lock held; it commits all items of the group, or raises."""
        self._lock = lock
        self._commit = commit
        # Guards the fields below, and is notified when a group is complete or committed. Taken after the lock.
        self._changed = threading.Condition()
        self._waiting: list[_Entry[Item]] = []
        self._expected: dict[int, float] = {}  # threads that have just committed: until when they are waited for
        self._break = 0
        self._commits_until_wait = 0

    def submit(self, item: Item) -> None:
        """Return once the item is committed, by this thread or another; raises the error of this item alone."""
        entry = _Entry(item)
        try:
            self._gather(entry)
            with self._lock:
                while not entry.is_done:
                    self._commit_group()
        finally:
            with self._changed:
                if entry in self._waiting:  # an exception was raised into this thread
                    self._waiting.remove(entry)
        if entry.error is not None:
            raise entry.error

    def _gather(self, entry: _Entry[Item]) -> None:
        """Join those who wait, and wait for the threads that are likely to come in a moment."""
        with self._changed:
            self._expected.pop(entry.thread, None)
            self._waiting.append(entry)
            if self._seconds_left() <= 0:
                self._changed.notify_all()
            elif self._commits_until_wait > 0:
                self._commits_until_wait -= 1
            else:
                self._wait_for_others(entry)
                is_alone = self._waiting == [entry]
                self._break = min(max(1, 2 * self._break), _LONGEST_BREAK) if is_alone else 0
                self._commits_until_wait = self._break

    def _wait_for_others(self, entry: _Entry[Item]) -> None:
        deadline = time.monotonic() + 2 * LONGEST_WAIT_SECONDS
        while not entry.is_done:
            seconds = min(self._seconds_left(), deadline - time.monotonic())
            if seconds <= 0:
                break
            self._changed.wait(seconds)

    def _seconds_left(self) -> float:
        """Return for how long a thread is expected; 0 if none is."""
        now = time.monotonic()
        self._expected = {thread: until for thread, until in self._expected.items() if until > now}
        return max((until - now for until in self._expected.values()), default=0.0)

    def _expect(self, group: Sequence[_Entry[Item]], seconds: float) -> None:
        until = time.monotonic() + min(seconds, LONGEST_WAIT_SECONDS)
        self._expected.update((entry.thread, until) for entry in group)

    def _commit_group(self) -> None:
        assert self._lock.locked()
        with self._changed:
            group = self._waiting[:GROUP_LIMIT]
            self._expect(group, LONGEST_WAIT_SECONDS)
        began = time.monotonic()
        try:
            self._commit([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001 - raised in the thread whose item it is
            if len(group) == 1:
                group[0].error = error
            else:
                self._commit_each(group)
        self._finish(group, 2 * (time.monotonic() - began))

    def _commit_each(self, group: Sequence[_Entry[Item]]) -> None:
        """Commit one after another, so that the error of one is not that of the others."""
        for entry in group:
            try:
                self._commit([entry.item])
            except Exception as error:  # noqa: BLE001 - as above
                entry.error = error

    def _finish(self, group: Sequence[_Entry[Item]], wait_seconds: float) -> None:
        with self._changed:
            self._expect(group, wait_seconds)
            for entry in group:
                entry.is_done = True
            self._waiting = [entry for entry in self._waiting if not entry.is_done]
            self._changed.notify_all()
