"""Start and stop on native threads, so that an exception raised into the caller leaves nothing half done.

Ctrl+C, a soft time limit or a debugger can raise at any bytecode of the calling thread, also in a ``finally``. So
threads that nobody raises into do the work, and the caller only waits for them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar, cast

from rag_pipeline.common import native

logger = logging.getLogger("rag_pipeline.service")

T = TypeVar("T")

UNDO_SECONDS = 30.0
_MARGIN_SECONDS = 1.0


class StopStep(NamedTuple):
    """One step of a stop: idempotent, and abandoned if it takes longer than ``seconds``."""

    name: str
    run: Callable[[], object]
    seconds: float


class StopSequence:
    """Runs stop steps in order; any thread may call it, any number of times.

    Each step runs on a thread of its own. A step that raises or hangs is logged, and the next one runs. A caller that
    is interrupted while it waits changes nothing: the steps continue without it.
    """

    def __init__(self, steps: Iterable[StopStep] = ()) -> None:
        self.begun = False
        self._steps = deque(steps)
        self._lock = native.allocate_lock()  # held by the thread that runs the steps

    @property
    def over(self) -> bool:
        """Whether every step has ended or was abandoned."""
        return not self._steps

    def run(self) -> None:
        """Run the remaining steps, or wait while another thread does; bounded by the sum of their seconds."""
        self.begun = True
        bound = sum(step.seconds for step in self._steps.copy()) + _MARGIN_SECONDS
        try:
            runner = native.start_thread(self._run_all, "rag-pipeline-stop")
        except RuntimeError:  # the interpreter is shutting down, and starts no threads
            self._run_all()
            return
        runner.join(bound)

    def _run_all(self) -> None:
        with self._lock:
            while self._steps:
                _run_bounded(self._steps[0])
                self._steps.popleft()


def _run_bounded(step: StopStep) -> None:
    def run() -> None:
        try:
            step.run()
        except Exception:
            logger.exception("%s: the stop failed", step.name)

    try:
        thread = native.start_thread(run, "rag-pipeline-stop-step")
    except RuntimeError:
        run()
        return
    if not thread.join(step.seconds):
        logger.error("%s did not stop within %g seconds, and is left behind", step.name, step.seconds)


def launch(make: Callable[[], T], undo: Callable[[T], object], *, one_at_a_time: native.Lock) -> T:
    """Run ``make`` on a native thread that holds the lock; return its result or raise its error.

    If an exception is raised into the caller while it waits, that thread passes the result to ``undo``.
    """
    attempt = _Attempt(make, undo, one_at_a_time)
    try:
        with attempt.present:
            native.start_thread(attempt.run, "rag-pipeline-start")
            while not attempt.made.wait(1.0):
                pass
            attempt.taken = True
    except BaseException:
        if attempt.taken and attempt.error is None:  # raised at the very last moment
            undo(cast(T, attempt.made.value))
        elif attempt.begun:
            attempt.ended.wait(UNDO_SECONDS)
        raise
    if attempt.error is not None:
        raise attempt.error
    return cast(T, attempt.made.value)


class _Attempt(Generic[T]):
    """One start. The caller holds the lock ``present`` while it waits, and releases it however it leaves."""

    def __init__(self, make: Callable[[], T], undo: Callable[[T], object], lock: native.Lock) -> None:
        self._lock = lock
        self._make = make
        self._undo = undo
        self.present = native.allocate_lock()
        self.made = native.Future()
        self.ended = native.Future()
        self.begun = False
        self.taken = False
        self.error: BaseException | None = None

    def run(self) -> None:
        self.begun = True
        with self._lock:
            self._run()
        self.ended.set()

    def _run(self) -> None:
        try:
            result = self._make()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            self.error = error
            self.made.set()
        else:
            self.made.set(result)
            with self.present:
                pass  # the caller has taken the result, or has left
            if not self.taken:
                self._undo(result)


class Holders:
    """Counts the holders of a shared object: calls that returned it, and ``with`` blocks that entered it."""

    def __init__(self) -> None:
        self._lock = native.allocate_lock()
        self._calls = 0
        self._depth = 0
        self._blocks = 0

    def take(self) -> None:
        """Count a call that returned the object."""
        with self._lock:
            self._calls += 1

    def give_back(self) -> bool:
        """Count one call less; return whether none is left."""
        with self._lock:
            self._calls -= 1
            return self._calls <= 0

    def enter(self) -> None:
        """Count a ``with`` block."""
        with self._lock:
            self._depth += 1
            self._blocks += 1

    def exit(self) -> bool:
        """Count one block less; return whether no holder is left: no outer block, and no call without a block."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return False
            self._calls -= self._blocks
            self._blocks = 0
            return self._calls <= 0
