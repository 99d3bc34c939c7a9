"""A few native threads that work off a plan; the plan can be replaced at any time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

J = TypeVar("J")


class WorkerPool(Generic[J]):
    """Threads that call ``work(key, job)`` for one job of the plan after another, never two of one key at a time.

    ``lock`` protects the plan, and whatever the owner keeps beside it. ``work`` takes it itself where it needs it, and
    returns True for a job to put back behind all others. ``on_change`` is called, without the lock, after each job.
    While ``held`` says so no job is begun; when it no longer does, :meth:`wake` has to be called. ``queued`` counts
    those of the pending jobs that ``counts`` names. Of the jobs that are ``alone``, which is asked under the lock, one
    at a time is begun; the other threads go on with the rest. What ``work`` raises ends the crew and is in ``failure``.

    A worker can take more jobs beside its own, to do them together (:meth:`take_more`), keep others from a key
    (:meth:`reserve`), and leave its job until that of another key is over (:meth:`park`).
    """

    def __init__(
        self,
        work: Callable[[str, J], object],
        *,
        threads: int,
        name: str,
        on_change: Callable[[], None],
        held: Callable[[], bool] = lambda: False,
        counts: Callable[[J], bool] = lambda _: True,
        alone: Callable[[J], bool] = lambda _: False,
    ) -> None:
        self.lock = threading.RLock()
        self.failure: BaseException | None = None
        self.queued = 0
        self._changed = threading.Condition(self.lock)
        self._work = work
        self._on_change = on_change
        self._held = held
        self._counts = counts
        self._alone = alone
        self._busy_alone: str | None = None
        self._pending: OrderedDict[str, J] = OrderedDict()
        self._busy: set[str] = set()
        self._called_off: set[str] = set()
        self._parked: dict[str, tuple[J, str]] = {}  # with the key that each waits for
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True) for number in range(1, threads + 1)
        ]
        for thread in self._threads:
            thread.start()

    # -- the plan --------------------------------------------------------------------------------------------------

    def replace(self, make: Callable[[frozenset[str]], Mapping[str, J]]) -> None:
        """Replace what is not begun yet; ``make`` is called under the lock with the keys of the jobs under way.

        Parked jobs count as under way.
        """
        with self.lock:
            busy = frozenset(self._busy).union(self._parked)
            self._pending = OrderedDict(item for item in make(busy).items() if item[0] not in busy)
            parked = [job for key, (job, _) in self._parked.items() if key not in self._busy]
            self.queued = sum(map(self._counts, [*self._pending.values(), *parked]))
            self._changed.notify_all()

    def hurry(self, key: str, job: J) -> None:
        """Have this job done next, unless the key is being worked on or parked."""
        with self.lock:
            if key not in self._busy and key not in self._parked:
                self._put(key, job, last=False)

    def call_off(self, key: str) -> bool:
        """Have a job done after all others; return whether there is one. One under way learns it from its work."""
        with self.lock:
            if key in self._busy:
                self._called_off.add(key)
                return True
            if key in self._pending:
                self._pending.move_to_end(key)
                return True
            return key in self._parked

    def is_called_off(self, key: str) -> bool:
        """Return whether the job under way should end, to be done again later; takes no lock."""
        return key in self._called_off

    def wake(self) -> None:
        """Look again whether jobs may be begun."""
        with self.lock:
            self._changed.notify_all()

    def has(self, key: str) -> bool:
        """Return whether there is a job of this key, pending, parked or under way; takes no lock."""
        return key in self._pending or key in self._busy or key in self._parked

    def is_busy(self, key: str) -> bool:
        """Return whether the job of this key is under way; takes no lock."""
        return key in self._busy

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
            return not self._pending and not self._busy and not self._parked

    def close(self, timeout_seconds: float) -> bool:
        """Begin no further job and wait for those under way; returns whether they ended in time. Idempotent."""
        with self.lock:
            self._closed = True
            self._pending.clear()
            self._parked.clear()
            self.queued = 0
            self._changed.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # -- a worker, about more than its own job ---------------------------------------------------------------------

    def take_more(self, accepts: Callable[[J], bool]) -> tuple[str, J] | None:
        """Begin the next job of the plan as well, if it is accepted and may be begun; :meth:`release` ends it."""
        with self.lock:
            key = self._next()
            if self._closed or key is None or not accepts(self._pending[key]) or self._held():
                return None
            return self._begin(key)

    def reserve(self, key: str) -> bool:
        """Take a key as if its job were under way, unless it is; what is pending of it is dropped.

        Returns whether it was taken; :meth:`release` ends that.
        """
        with self.lock:
            if key in self._busy or key in self._parked:
                return False
            if (dropped := self._pending.pop(key, None)) is not None:
                self.queued -= self._counts(dropped)
            self._busy.add(key)
            return True

    def release(self, key: str, again: J | None = None) -> None:
        """End what :meth:`take_more` or :meth:`reserve` has begun; ``again`` is a job to put behind all others."""
        with self.lock:
            self._end(key, again)
        self._on_change()

    def park(self, key: str, job: J, until: str) -> bool:
        """Leave the job under way of ``key``: do ``job`` next once that of ``until`` is over.

        Returns False, with nothing done, if no job of ``until`` is under way.
        """
        with self.lock:
            if until not in self._busy or self._closed:
                return False
            self._parked[key] = (job, until)
            return True

    # -- the threads -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            key, job = taken
            again = False
            try:
                again = self._work(key, job) is True
            except BaseException as error:  # noqa: BLE001 - handed to the owner, who knows whom to tell
                with self.lock:
                    self.failure = self.failure or error
                    self._closed = True
                    self._changed.notify_all()
            finally:
                self.release(key, job if again else None)

    def _take(self) -> tuple[str, J] | None:
        with self.lock:
            # In this order: to be asked whether jobs are held may use up the one trial that is let through.
            while not self._closed and ((key := self._next()) is None or self._held()):
                self._changed.wait()
            if self._closed:
                return None
            assert key is not None
            return self._begin(key)

    def _begin(self, key: str) -> tuple[str, J]:
        """Take a job of the plan; the lock is held."""
        job = self._pending.pop(key)
        self.queued -= self._counts(job)
        self._busy.add(key)
        if self._alone(job):
            self._busy_alone = key
        return key, job

    def _end(self, key: str, again: J | None) -> None:
        """Free the key, and put what waited for it in front; the lock is held."""
        self._busy.discard(key)
        if self._busy_alone == key:
            self._busy_alone = None
        self._called_off.discard(key)
        if key in self._parked:
            self.queued += self._counts(self._parked[key][0])
        elif again is not None:
            self._put(key, again, last=True)
        free = [one for one, (_, until) in self._parked.items() if until not in self._busy and one not in self._busy]
        for one in reversed(free):
            job, _ = self._parked.pop(one)
            self.queued -= self._counts(job)
            self._put(one, job, last=False)

    def _next(self) -> str | None:
        """Return the key of the first job that may be begun; the lock is held."""
        if self._busy_alone is None:
            return next(iter(self._pending), None)
        return next((key for key, job in self._pending.items() if not self._alone(job)), None)

    def _put(self, key: str, job: J, *, last: bool) -> None:
        """Add a job at one end of the plan; the lock is held."""
        if self._closed:
            return
        if key in self._pending:
            self.queued -= self._counts(self._pending.pop(key))
        self._pending[key] = job
        self._pending.move_to_end(key, last=last)
        self.queued += self._counts(job)
        self._changed.notify()
