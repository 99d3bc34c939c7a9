"""A few native threads that work off a plan; the plan can be replaced at any time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

J = TypeVar("J")


class Crew(Generic[J]):
    """Threads that call ``work(key, job)`` for one job of the plan after another, never two of one key at a time.

    ``lock`` protects the plan, and whatever the owner keeps beside it. ``work`` takes it itself where it needs it.
    ``on_change`` is called, without the lock, after each job. What ``work`` raises ends the crew and is in ``failure``.
    """

    def __init__(
        self, work: Callable[[str, J], None], *, threads: int, name: str, on_change: Callable[[], None]
    ) -> None:
        self.lock = threading.RLock()
        self.failure: BaseException | None = None
        self._changed = threading.Condition(self.lock)
        self._work = work
        self._on_change = on_change
        self._pending: dict[str, J] = {}
        self._busy: set[str] = set()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    def replace(self, make: Callable[[frozenset[str]], Mapping[str, J]]) -> None:
        """Replace what is not begun yet; ``make`` is called under the lock with the keys of the jobs under way."""
        with self.lock:
            busy = frozenset(self._busy)
            # Taken from the end: reversed here, once, instead of shifting a long list for each job.
            self._pending = dict(reversed([item for item in make(busy).items() if item[0] not in busy]))
            self._changed.notify_all()

    @property
    def pending(self) -> int:
        """Jobs not begun yet."""
        return len(self._pending)

    @property
    def busy(self) -> int:
        """Jobs under way."""
        return len(self._busy)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do and nobody at work."""
        with self.lock:
            return not self._pending and not self._busy

    def close(self, timeout_seconds: float) -> bool:
        """Begin no further job and wait for those under way; returns whether they ended in time. Idempotent."""
        with self.lock:
            self._closed = True
            self._pending = {}
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            key, job = taken
            try:
                self._work(key, job)
            except BaseException as error:  # noqa: BLE001 - handed to the owner, who knows whom to tell
                with self.lock:
                    self.failure = self.failure or error
                    self._closed = True
                    self._changed.notify_all()
            finally:
                with self.lock:
                    self._busy.discard(key)
                self._on_change()

    def _take(self) -> tuple[str, J] | None:
        with self.lock:
            while not self._pending and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            key, job = self._pending.popitem()
            self._busy.add(key)
            return key, job
