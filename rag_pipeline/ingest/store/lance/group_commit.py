"""Group commit: concurrent writes of several threads become one commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
GROUP_LIMIT = 32
LONGEST_WAIT_SECONDS = 0.1
"""The longest wait for a thread that has just committed; it is also at most twice the duration of that commit."""
_LONGEST_BREAK = 64  # commits without a wait, after waits in which no other thread came


class _Submission(Generic[_Item]):
    """An item that a thread submits, and its outcome."""

    def __init__(self, item: _Item) -> None:
        self.item = item
        self.thread = threading.get_ident()
        self.is_done = False
        self.error: Exception | None = None


class GroupCommit(Generic[_Item]):
    """Commits the items of all waiting threads together, in the order of submission; safe under threads.

    Threads that write repeatedly wait for each other for a moment, so that they share each commit.
    """

    def __init__(self, lock: threading.Lock, commit: Callable[[Sequence[_Item]], None]) -> None:
        """Take the function that commits all items of a group, or raises; it is called with ``lock`` held."""
        self._lock = lock
        self._commit = commit
        # Protects the fields below; notified when a group is complete or committed. Acquired after the lock.
        self._changed = threading.Condition()
        self._waiting: list[_Submission[_Item]] = []
        self._expected: dict[int, float] = {}  # until when to wait for a thread that has just committed
        self._break = 0
        self._commits_until_wait = 0

    def submit(self, item: _Item) -> None:
        """Return once the item is committed, by this thread or another; raises this item's error."""
        submission = _Submission(item)
        try:
            self._gather(submission)
            with self._lock:
                while not submission.is_done:
                    self._commit_group()
        finally:
            with self._changed:
                if submission in self._waiting:  # an exception was raised into this thread
                    self._waiting.remove(submission)
        if submission.error is not None:
            raise submission.error

    def _gather(self, submission: _Submission[_Item]) -> None:
        """Join the waiting threads, and wait for the threads that are likely to come in a moment."""
        with self._changed:
            self._expected.pop(submission.thread, None)
            self._waiting.append(submission)
            if self._seconds_left() <= 0:
                self._changed.notify_all()
            elif self._commits_until_wait > 0:
                self._commits_until_wait -= 1
            else:
                self._wait_for_others(submission)
                is_alone = self._waiting == [submission]
                self._break = min(max(1, 2 * self._break), _LONGEST_BREAK) if is_alone else 0
                self._commits_until_wait = self._break

    def _wait_for_others(self, submission: _Submission[_Item]) -> None:
        deadline = time.monotonic() + 2 * LONGEST_WAIT_SECONDS
        while not submission.is_done:
            seconds = min(self._seconds_left(), deadline - time.monotonic())
            if seconds <= 0:
                break
            self._changed.wait(seconds)

    def _seconds_left(self) -> float:
        """Return how long to wait for an expected thread; 0 if there is none."""
        now = time.monotonic()
        self._expected = {thread: until for thread, until in self._expected.items() if until > now}
        return max((until - now for until in self._expected.values()), default=0.0)

    def _expect(self, group: Sequence[_Submission[_Item]], seconds: float) -> None:
        until = time.monotonic() + min(seconds, LONGEST_WAIT_SECONDS)
        self._expected.update((submission.thread, until) for submission in group)

    def _commit_group(self) -> None:
        assert self._lock.locked()
        with self._changed:
            group = self._waiting[:GROUP_LIMIT]
            self._expect(group, LONGEST_WAIT_SECONDS)
        began = time.monotonic()
        try:
            self._commit([submission.item for submission in group])
        except Exception as error:  # noqa: BLE001 - raised in the thread whose item it is
            if len(group) == 1:
                group[0].error = error
            else:
                self._commit_each(group)
        self._finish(group, 2 * (time.monotonic() - began))

    def _commit_each(self, group: Sequence[_Submission[_Item]]) -> None:
        """Commit each item alone, so that the error of one does not affect the others."""
        for submission in group:
            try:
                self._commit([submission.item])
            except Exception as error:  # noqa: BLE001 - raised in the thread whose item it is
                submission.error = error

    def _finish(self, group: Sequence[_Submission[_Item]], wait_seconds: float) -> None:
        with self._changed:
            self._expect(group, wait_seconds)
            for submission in group:
                submission.is_done = True
            self._waiting = [submission for submission in self._waiting if not submission.is_done]
            self._changed.notify_all()
