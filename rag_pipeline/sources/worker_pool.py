"""A pool of native threads that runs pending jobs; the pending jobs can be replaced at any time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

J = TypeVar("J")


class WorkerPool(Generic[J]):
    """Threads that call ``work(key, job)`` for each pending job, never for one key twice at a time.

    work: takes the lock itself where it needs it; returns True to put the job back behind all others. If it raises,
    the pool ends and the error is in ``failure``.
    on_change: called after each job, without the lock.
    is_held: no job starts while it returns True; call :meth:`wake` when it no longer does.
    is_counted: ``queued`` is the number of pending jobs for which it returns True.
    is_exclusive: at most one such job runs at a time, beside any number of others; called under the lock.

    ``lock`` protects the pending jobs, and whatever the owner keeps beside them. A worker can take more jobs to do them
    together (:meth:`take_next`), block a key (:meth:`reserve`), and defer its job until another key's job has ended
    (:meth:`defer`).
    """

    def __init__(
        self,
        work: Callable[[str, J], object],
        *,
        threads: int,
        name: str,
        on_change: Callable[[], None],
        is_held: Callable[[], bool] = lambda: False,
        is_counted: Callable[[J], bool] = lambda _: True,
        is_exclusive: Callable[[J], bool] = lambda _: False,
    ) -> None:
        self.lock = threading.RLock()
        self.failure: BaseException | None = None
        self.queued = 0
        self._changed = threading.Condition(self.lock)
        self._work = work
        self._on_change = on_change
        self._is_held = is_held
        self._is_counted = is_counted
        self._is_exclusive = is_exclusive
        self._exclusive_key: str | None = None  # of the exclusive job that runs
        self._pending: OrderedDict[str, J] = OrderedDict()
        self._busy: set[str] = set()
        self._cancelled: set[str] = set()
        self._deferred: dict[str, tuple[J, str]] = {}  # with the key that each waits for
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    # -- for the owner ---------------------------------------------------------------------------------------------

    def replace_pending(self, make: Callable[[frozenset[str]], Mapping[str, J]]) -> None:
        """Replace the pending jobs; ``make`` is called under the lock with the keys that run or are deferred."""
        with self.lock:
            busy = frozenset(self._busy).union(self._deferred)
            self._pending = OrderedDict(item for item in make(busy).items() if item[0] not in busy)
            deferred = [job for key, (job, _) in self._deferred.items() if key not in self._busy]
            self.queued = sum(map(self._is_counted, [*self._pending.values(), *deferred]))
            self._changed.notify_all()

    def prioritize(self, key: str, job: J) -> None:
        """Run this job next, unless the key is running or deferred."""
        with self.lock:
            if key not in self._busy and key not in self._deferred:
                self._put(key, job, last=False)

    def cancel(self, key: str) -> bool:
        """Move a pending job behind all others, or flag a running one; return whether there is such a job."""
        with self.lock:
            if key in self._busy:
                self._cancelled.add(key)
                return True
            if key in self._pending:
                self._pending.move_to_end(key)
                return True
            return key in self._deferred

    def is_cancelled(self, key: str) -> bool:
        """Return whether the running job should end and be put back; takes no lock."""
        return key in self._cancelled

    def wake(self) -> None:
        """Check again whether jobs are held."""
        with self.lock:
            self._changed.notify_all()

    def has(self, key: str) -> bool:
        """Return whether the key has a job: pending, deferred or running; takes no lock."""
        return key in self._pending or key in self._busy or key in self._deferred

    def is_busy(self, key: str) -> bool:
        """Return whether the key's job is running; takes no lock."""
        return key in self._busy

    @property
    def pending(self) -> int:
        """Number of pending jobs."""
        return len(self._pending)

    @property
    def busy(self) -> int:
        """Number of running jobs."""
        return len(self._busy)

    @property
    def idle(self) -> bool:
        """Whether no job is pending, deferred or running."""
        with self.lock:
            return not self._pending and not self._busy and not self._deferred

    def close(self, timeout_seconds: float) -> bool:
        """Start no more jobs and wait for the running ones; return whether they ended in time. Idempotent."""
        with self.lock:
            self._closed = True
            self._pending.clear()
            self._deferred.clear()
            self.queued = 0
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # -- for a worker ----------------------------------------------------------------------------------------------

    def take_next(self, accepts: Callable[[J], bool]) -> tuple[str, J] | None:
        """Start the next pending job too, if it is accepted and jobs are not held; :meth:`release` ends it."""
        with self.lock:
            key = self._next_key()
            if self._closed or key is None or not accepts(self._pending[key]) or self._is_held():
                return None
            return self._start(key)

    def reserve(self, key: str) -> bool:
        """Block a key as if its job were running, and drop its pending job; return False if it runs or is deferred.

        :meth:`release` ends the reservation.
        """
        with self.lock:
            if key in self._busy or key in self._deferred:
                return False
            if (dropped := self._pending.pop(key, None)) is not None:
                self.queued -= self._is_counted(dropped)
            self._busy.add(key)
            return True

    def release(self, key: str, put_back: J | None = None) -> None:
        """End what :meth:`take_next` or :meth:`reserve` started; ``put_back`` is queued behind all others."""
        with self.lock:
            self._end(key, put_back)
        self._on_change()

    def defer(self, key: str, job: J, until: str) -> bool:
        """Run ``job`` for the running key as soon as the job of ``until`` has ended.

        Returns False, with nothing changed, if ``until`` is not running.
        """
        with self.lock:
            if until not in self._busy or self._closed:
                return False
            self._deferred[key] = (job, until)
            return True

    # -- the threads -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            key, job = taken
            put_back = False
            try:
                put_back = self._work(key, job) is True
            except BaseException as error:  # noqa: BLE001 - the owner reports it
                with self.lock:
                    self.failure = self.failure or error
                    self._closed = True
                    self._changed.notify_all()
            finally:
                self.release(key, job if put_back else None)

    def _take(self) -> tuple[str, J] | None:
        with self.lock:
            # The order matters: calling is_held may use up the one trial that a circuit breaker lets through.
            while not self._closed and ((key := self._next_key()) is None or self._is_held()):
                self._changed.wait()
            if self._closed:
                return None
            assert key is not None
            return self._start(key)

    def _start(self, key: str) -> tuple[str, J]:
        """Move a job from pending to running; the lock is held."""
        job = self._pending.pop(key)
        self.queued -= self._is_counted(job)
        self._busy.add(key)
        if self._is_exclusive(job):
            self._exclusive_key = key
        return key, job

    def _end(self, key: str, put_back: J | None) -> None:
        """Free the key, and queue what was deferred until now in front; the lock is held."""
        self._busy.discard(key)
        if self._exclusive_key == key:
            self._exclusive_key = None
        self._cancelled.discard(key)
        if key in self._deferred:
            self.queued += self._is_counted(self._deferred[key][0])
        elif put_back is not None:
            self._put(key, put_back, last=True)
        ready = [one for one, (_, until) in self._deferred.items() if until not in self._busy and one not in self._busy]
        for one in reversed(ready):
            job, _ = self._deferred.pop(one)
            self.queued -= self._is_counted(job)
            self._put(one, job, last=False)

    def _next_key(self) -> str | None:
        """Return the key of the first job that may start; the lock is held."""
        if self._exclusive_key is None:
            return next(iter(self._pending), None)
        return next((key for key, job in self._pending.items() if not self._is_exclusive(job)), None)

    def _put(self, key: str, job: J, *, last: bool) -> None:
        """Add a pending job at one end; the lock is held."""
        if self._closed:
            return
        if key in self._pending:
            self.queued -= self._is_counted(self._pending.pop(key))
        self._pending[key] = job
        self._pending.move_to_end(key, last=last)
        self.queued += self._is_counted(job)
        self._changed.notify()
