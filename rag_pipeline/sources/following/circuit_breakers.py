"""Circuit breakers, one per dependency: while one is open no job starts, except for one trial after the wait.

The embedding endpoint, the vector store, the state folder and this machine (memory, threads, disk) are dependencies:
their failures stop the queue, not the file. But a file that fails again and again while others pass is to blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

FIRST_WAIT_SECONDS = 2.0
WAIT_FACTOR = 2.0
MAX_WAIT_SECONDS = 300.0
BLAME_AFTER = 3
"""A file that trips a breaker this often, while others pass in between, fails instead."""
MAX_REMEMBERED_FILES = 1_000


class OpenCircuit(NamedTuple):
    """A dependency that fails now, and when it is tried again, in seconds since 1970."""

    dependency: str
    message: str
    next_try_time: float
    error: Exception


@dataclass(slots=True)
class _Breaker:
    error: Exception | None = None
    trips: int = 0  # in a row, without a success
    due: float = 0.0
    next_try_time: float = 0.0
    successes: int = 0
    blamed: dict[str, tuple[int, int]] = field(default_factory=dict)  # trips of a file, and ``successes`` at the last

    def blames(self, file_id: str) -> bool:
        """Count a trip by the file; return whether the file is the cause."""
        count, last_successes = self.blamed.get(file_id, (0, -1))
        count += last_successes != self.successes
        if count >= BLAME_AFTER:
            self.blamed.pop(file_id, None)
            return True
        if len(self.blamed) >= MAX_REMEMBERED_FILES and file_id not in self.blamed:
            self.blamed.pop(next(iter(self.blamed)))
        self.blamed[file_id] = (count, self.successes)
        return False


class CircuitBreakers:
    """The breakers of one pipeline; thread-safe.

    Call :meth:`holds` before each job. While a breaker is open it returns True; once the wait is over it returns False
    to one caller, whose job is the trial. ``on_change`` is called when a breaker opens or closes.
    """

    def __init__(
        self, on_change: Callable[[], None] = lambda: None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._breakers: dict[str, _Breaker] = {}
        self._trial: str | None = None  # the id of the file that tries; empty until its job begins

    def trip(self, dependency: str, error: Exception, file_id: str, *, may_blame: bool = True) -> bool:
        """Record that a dependency failed during the work on a file; return True if the file is to blame instead.

        With ``may_blame=False`` the file is never to blame.
        """
        with self._lock:
            breaker = self._breakers.setdefault(dependency, _Breaker())
            if may_blame and breaker.blames(file_id):
                return True
            now = self._clock()
            if breaker.error is None or now >= breaker.due:  # otherwise it is open: this is a late failure
                wait = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * WAIT_FACTOR ** min(breaker.trips, 30))
                breaker.trips += 1
                breaker.due = now + wait
                breaker.next_try_time = time.time() + wait
            breaker.error = error
        self._on_change()
        return False

    def succeeded(self, dependency: str, file_id: str) -> None:
        """Record that the dependency worked for a file."""
        with self._lock:
            breaker = self._breakers.setdefault(dependency, _Breaker())
            breaker.successes += 1
            breaker.blamed.pop(file_id, None)
            if breaker.error is None:
                return
            breaker.error, breaker.trips = None, 0
        self._on_change()

    def begin(self, file_id: str) -> None:
        """Record that a job started: while a breaker is open it is the trial."""
        with self._lock:
            if self._trial == "":
                self._trial = file_id

    def end(self, file_id: str) -> None:
        """Record that a job ended; if it was the trial, another may start."""
        with self._lock:
            if self._trial != file_id:
                return
            self._trial = None
        self._on_change()

    def holds(self) -> bool:
        """Return whether no job may start; with an open breaker one caller at most gets False."""
        if not any(breaker.error for breaker in list(self._breakers.values())):
            return False
        with self._lock:
            is_open = [breaker for breaker in self._breakers.values() if breaker.error is not None]
            if not is_open:
                return False
            if self._trial is not None or self._clock() < max(breaker.due for breaker in is_open):
                return True
            self._trial = ""
            return False

    def close_due(self) -> None:
        """Close the breakers whose wait is over: there is no job left to try them with."""
        with self._lock:
            for breaker in self._breakers.values():
                if breaker.error is not None and self._clock() >= breaker.due:
                    breaker.error, breaker.trips = None, 0

    @property
    def open_circuit(self) -> OpenCircuit | None:
        """The dependency that fails now, None if all work; of several, the one with the latest retry."""
        if not self._breakers:
            return None
        with self._lock:
            is_open = [(b.due, name, b) for name, b in self._breakers.items() if b.error is not None]
            if not is_open:
                return None
            _, name, breaker = max(is_open, key=lambda one: one[0])
            assert breaker.error is not None
            return OpenCircuit(name, str(breaker.error), breaker.next_try_time, breaker.error)

    @property
    def trips(self) -> int:
        """The most failures in a row of any dependency that fails now."""
        with self._lock:
            return max((breaker.trips for breaker in self._breakers.values() if breaker.error is not None), default=0)
