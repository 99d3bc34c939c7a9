"""Run the mutations of one pipeline one at a time, whatever is raised into the calling threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from rag_pipeline.common import native
from rag_pipeline.status import clocks
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.mutation import Mutation

Decide = Callable[..., "Mutation | None"]
DeferredCall = tuple[Decide, tuple[Any, ...]]
T = TypeVar("T")

_REPEATS = 100


class MutationRunner(ABC):
    """Decides and finishes mutations under a reentrant lock; safe to call from any thread.

    A signal handler can report while its own thread is inside a call. Its mutation is deferred, and runs right after
    that call.

    An exception can be raised *into* a call at any point. Either the mutation was not decided yet, and nothing has
    happened. Or it is kept in ``_unfinished`` and finished before anything else: at once, or by the next call of any
    thread. Flags are lowered by assignments in ``finally``, not by calls, because a call could be interrupted itself.
    """

    def __init__(self) -> None:
        self._lock = native.RLock()  # protects what follows, and the subclass
        self._inside = False
        self._deferred: list[DeferredCall] = []
        self._unfinished: Mutation | None = None

    @abstractmethod
    def _carry_out(self, mutation: Mutation) -> None:
        """Apply the mutation and publish its events; may be repeated."""

    def finish(self) -> None:
        """Finish a mutation that an exception interrupted, and the deferred ones; costs nothing if there are none."""
        if self._unfinished is not None or self._deferred:
            self._run(_decide_nothing)

    def _run(self, decide: Decide, *args: Any) -> Mutation | None:
        """Call ``decide`` with the arguments and the time, and finish the mutation that it returns."""
        with self._lock:
            if self._inside:
                self._deferred.append((decide, args))
                return None
            first: Mutation | None = None
            deferred: DeferredCall | None = None
            while True:
                self._inside = True
                try:
                    if self._unfinished is not None:
                        self._finish(self._unfinished)
                    if deferred is not None:
                        if not self._deferred:  # a signal handler has just run it
                            return first
                        deferred = decide, args = self._deferred[0]
                    mutation = decide(*args, clocks.read())
                    if mutation is not None:
                        mutation.deferred = deferred
                        self._unfinished = mutation  # from here on it happens, whatever is raised
                        self._finish(mutation)
                    elif deferred is not None:
                        self._drop_deferred(deferred)
                except BaseException:
                    self._repeat()
                    raise
                finally:
                    # What a signal handler defers until here is seen below. From here on it defers no more.
                    self._inside = False
                if deferred is None:
                    first = mutation
                if not self._deferred:
                    return first
                deferred = _NEXT_DEFERRED

    def _read(self, make: Callable[[Moment], T]) -> T:
        """Return what ``make`` returns for the present moment, with the lock held."""
        with self._lock:
            if not self._inside:
                self.finish()
            outermost, self._inside = not self._inside, True
            try:
                made = make(clocks.read())
            finally:
                if outermost:
                    self._inside = False
            if outermost and self._deferred:
                self.finish()
            return made

    def _finish(self, mutation: Mutation) -> None:
        """Carry the mutation out; may be repeated."""
        self._carry_out(mutation)
        if mutation.deferred is not None:
            self._drop_deferred(mutation.deferred)
        self._unfinished = None

    def _repeat(self) -> None:
        """Finish what an exception interrupted; if this is interrupted too, the next call does."""
        for _ in range(_REPEATS):
            try:
                if self._unfinished is not None:
                    self._finish(self._unfinished)
                return
            except BaseException:  # noqa: BLE001 - also raised into the thread; the first one is raised again
                continue

    def _drop_deferred(self, deferred: object) -> None:
        if self._deferred and self._deferred[0] is deferred:
            del self._deferred[0]

    def _renew_lock(self) -> None:
        """Start afresh in a forked child: a thread of the parent may have held the lock."""
        self._lock = native.RLock()
        self._inside = False
        self._unfinished = None
        self._deferred.clear()


def _decide_nothing(now: Moment) -> None:
    """Decide nothing: :meth:`MutationRunner._run` then finishes interrupted and deferred mutations."""


_NEXT_DEFERRED: DeferredCall = (_decide_nothing, ())
