"""StatusCore: one pipeline's state and its lock, as servers see it; :class:`PipelineStatus` is what users call."""

from __future__ import annotations

import itertools
import os
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event, Json
from rag_pipeline.status import clocks
from rag_pipeline.status.change import Change
from rag_pipeline.status.control import Control
from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileError, FileRecord, StateBody
from rag_pipeline.status.registry import registry, wished_ids
from rag_pipeline.status.resume import decide_resume
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import FlushRequest, Published, Sink, SnapshotFor
from rag_pipeline.status.stages import Durations
from rag_pipeline.status.state import Moment, PipelineState
from rag_pipeline.status.throttle import NEVER, STATUS_INTERVAL_SECONDS, StatusThrottle

Restore = Callable[[str], SavedState | None]
"""Returns what a journal knows of the pipeline with this id; must not wait."""
MergeOwn = Callable[[Json], Json]
"""Returns all own fields after an update, given those before it."""
Decide = Callable[..., "Change | None"]
Deferred = tuple[Decide, tuple[Any, ...]]
T = TypeVar("T")

_REPEATS = 100

_created = itertools.count()
_cores: weakref.WeakSet[StatusCore] = weakref.WeakSet()


class StatusCore:
    """Decides, applies and publishes the changes of one pipeline; every call is safe from any thread.

    The lock protects everything below it. It is reentrant: a signal handler that reports while its own thread is
    inside a call is served right after that call.

    An exception can be raised *into* a call at any point. Then the change was not decided yet, and nothing has
    happened; or it stands in ``_unfinished``, and is finished before anything else: at once, or by the next call,
    whichever thread makes it. Flags are lowered by assignments in ``finally``, not by calls, which could be
    interrupted themselves.
    """

    def __init__(self, pipeline_type: str | None, pipeline_id: str | None, *, claims: bool = True) -> None:
        self.created = next(_created)
        self.control: Control | None = None
        self.closed = False
        _cores.add(self)
        self._lock = native.RLock()
        self._inside = False
        self._deferred: list[Deferred] = []
        self._unfinished: Change | None = None
        self._sinks: tuple[Sink, ...] = ()
        self._restores: list[tuple[Sink, Restore]] = []  # of journals attached before the id was assigned
        self._throttle = StatusThrottle()
        self._id_assigned = pipeline_id is not None
        self._resumed = False
        provisional = pipeline_id or next(iter(wished_ids(pipeline_type)))
        self._state = PipelineState(provisional, pipeline_type, _new_epoch(), clocks.read())
        if pipeline_id is None and claims:
            self._state.pipeline_id = registry.claim_any(self, pipeline_type)

    # -- what a pipeline reports -----------------------------------------------------------------------------------

    def update(self, fields: Json, merge_own: MergeOwn | None, new_type: tuple[str | None] | None) -> None:
        """Set fields; ``new_type`` holds the type if it is among them."""
        self._run(self._decide_update, fields, merge_own, new_type)

    def start(self, file: FileRecord) -> None:
        """Put a file in flight."""
        if not self._id_assigned:
            self._run(self._decide_id)
        self._run(self._state.decide_start, file)

    def progress(self, name: str, file_id: str | None, stage: str, fraction: float | None) -> bool:
        """Set a file's stage and fraction; return False if it isn't in flight."""
        change = self._run(self._decide_progress, name, file_id, stage, fraction)
        return change is None or change.known

    def end(
        self, file: FileRecord, outcome: int, result: Any = None, size: int = 0, error: FileError | None = None
    ) -> bool:
        """Take a file out of flight; return False if it wasn't in flight. ``size`` is that of the result."""
        if not self._id_assigned:
            self._run(self._decide_id)
        change = self._run(self._state.decide_end, file, outcome, result, size, error)
        return change is None or change.known

    def in_flight_token(self, name: str, file_id: str | None) -> object:
        """Return an object that stands for this start of exactly this file; None if it isn't in flight."""
        return self._state.started_token(key_of(name, file_id))

    def close(self) -> None:
        """Take the pipeline off the service; idempotent."""
        registry.remove(self)
        with self._lock:
            self.closed = True
            self._sinks = ()

    # -- what a server asks ----------------------------------------------------------------------------------------

    @property
    def pipeline_id(self) -> str:
        """The identity; may still change while :attr:`reported` is False."""
        return self._state.pipeline_id

    @property
    def pipeline_type(self) -> str | None:
        """The type, which decides the namespace."""
        return self._state.pipeline_type

    @property
    def reported(self) -> bool:
        """Whether any call has changed the state."""
        return self._state.seq > 0

    @property
    def shown(self) -> bool:
        """Whether anything takes what the pipeline publishes."""
        return bool(self._sinks)

    @property
    def interrupted(self) -> tuple[FileRecord, ...]:
        """The files that were in flight when the last process of this id ended."""
        return self._state.interrupted

    @property
    def failed_ids(self) -> frozenset[str]:
        """The ids of the files whose last attempt failed, also in earlier processes; of the 10,000 last ones."""
        return self._read(lambda _: self._state.files.failed_ids())

    @property
    def resumed_from(self) -> tuple[str, int] | None:
        """The epoch and ``seq`` up to which a journal has kept the last process's events; None if it has kept none.

        What that process reported after that is lost. Known from the first call on that changes the state.
        """
        return self._state.resumed_from

    def snapshot(self) -> StateBody:
        """Return the state at this moment, immutable and consistent."""
        return self._read(self._state.body)

    def get(self) -> Json:
        """Return a deep copy of the state, as JSON."""
        copied: Json = _deep_copy(self.snapshot().to_json(time.time()))
        return copied

    def measured(self) -> tuple[StateBody, Durations]:
        """Return the state, and how long files and their stages took, as of the same moment."""
        return self._read(lambda now: (self._state.body(now), self._state.times.durations()))

    def status_event(self) -> Event:
        """Return the state as the ``pipeline:status`` event that a newcomer gets."""
        return self._read(self._state.status_event)

    def attach(self, sink: Sink, restore: Restore | None = None) -> None:
        """Publish to the sink from now on, the state as it stands first.

        ``restore`` is asked once, when the pipeline's id is assigned.
        """
        self._run(self._decide_flush, True, False)
        self._run(self._decide_attach, sink, restore)

    def detach(self, sink: Sink) -> None:
        """Stop publishing to the sink."""
        with self._lock:
            self._restores = [(owner, restore) for owner, restore in self._restores if owner is not sink]
            self._sinks = tuple(one for one in self._sinks if one is not sink)

    def show_to(self, sink: Sink, receiver: object) -> str | None:
        """Publish the state to the sink for one receiver; return the id it shows, None if the pipeline is closed."""
        if self.closed:
            return None
        pipeline_id = self._state.pipeline_id
        self._run(self._decide_show_to, sink, receiver)
        return pipeline_id

    def begin_epoch(self) -> tuple[str, str]:
        """Begin a new epoch, and say so; return the old one and the new: a journal does not have all of the old."""
        old, new = self._state.epoch, _new_epoch()
        self._run(self._state.decide_epoch, new)
        return old, new

    def flush(self, *, everything: bool = False) -> None:
        """Publish what was held back and is due, or all of it: progress, and the status that follows file events."""
        self._run(self._decide_flush, everything, True)

    def finish(self) -> None:
        """Finish a change that an exception has left half done; costs nothing where there is none."""
        if self._unfinished is not None or self._deferred:
            self._run(_decide_nothing)

    def after_fork(self) -> None:
        """Start afresh in a forked child: it has no servers, and its parent's threads may have held the lock."""
        self._lock = native.RLock()
        self._inside = False
        self._unfinished = None
        self._deferred.clear()
        self._sinks = ()
        self._restores.clear()
        self._state.epoch = _new_epoch()  # from here on the same numbers mean other events

    # -- under the lock --------------------------------------------------------------------------------------------

    def _run(self, decide: Decide, *args: Any) -> Change | None:
        with self._lock:
            if self._inside:
                self._deferred.append((decide, args))
                return None
            first: Change | None = None
            deferred: Deferred | None = None
            while True:
                self._inside = True
                try:
                    if self._unfinished is not None:
                        self._finish(self._unfinished)
                    if deferred is not None:
                        if not self._deferred:  # a signal handler has carried it out just now
                            return first
                        deferred = decide, args = self._deferred[0]
                    change = decide(*args, clocks.read())
                    if change is not None:
                        change.deferred = deferred
                        self._unfinished = change  # from here on it happens, whatever is raised
                        self._finish(change)
                    elif deferred is not None:
                        self._drop_deferred(deferred)
                except BaseException:
                    self._repeat()
                    raise
                finally:
                    # What a signal handler defers until here is seen below, and from here on it defers no more.
                    self._inside = False
                if deferred is None:
                    first = change
                if not self._deferred:
                    return first
                deferred = _NEXT_ONE

    def _repeat(self) -> None:
        """Finish what an exception has interrupted; the next call does if this is interrupted, too."""
        for _ in range(_REPEATS):
            try:
                if self._unfinished is not None:
                    self._finish(self._unfinished)
                return
            except BaseException:  # noqa: BLE001 - raised into the thread as well; the first one is raised on
                continue

    def _drop_deferred(self, deferred: object) -> None:
        if self._deferred and self._deferred[0] is deferred:
            del self._deferred[0]

    def _read(self, make: Callable[[Moment], T]) -> T:
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

    def _finish(self, change: Change) -> None:
        """Apply the change and send what comes of it; may be repeated."""
        deliveries = change.deliveries
        if deliveries is None:
            change.apply(*change.args)
            sinks = self._sinks
            items: Sequence[Published] = ()
            if sinks:
                items = self._outgoing(change)
            elif change.status:  # a later sink gets the state as it stands then
                change.throttle = self._throttle.after_status(change.now.mono)
            if len(sinks) == 1:
                deliveries = ((sinks[0].publish_all, iter(items)),)
            else:
                deliveries = tuple([(sink.publish_all, iter(items)) for sink in sinks])
            change.deliveries = deliveries
        for publish_all, items_left in deliveries:
            publish_all(items_left)
        if change.throttle is not None:
            self._throttle = change.throttle
        if change.deferred is not None:
            self._drop_deferred(change.deferred)
        self._unfinished = None

    def _outgoing(self, change: Change) -> Sequence[Published]:
        """Return what goes out for a change that was applied: its events, a status, and a request for a flush."""
        now, before = change.now.mono, self._throttle
        throttle, items = before, change.events
        if change.status or (items and now >= throttle.sent + STATUS_INTERVAL_SECONDS):
            status = self._state.status_event(change.now, change.former_type, numbered=change.numbered)
            throttle, items = throttle.after_status(now), (*items, status)
        elif throttle.status_due == NEVER:
            if items or change.owes_status:
                throttle = throttle.owing_status(now)
        elif change.due is None and throttle.flush_due <= throttle.status_due and now < throttle.status_due:
            return items  # nearly always: a status is owed, and a flush is asked for
        due = throttle.status_due if change.due is None else min(change.due, throttle.status_due)
        if due != NEVER and throttle.needs_flush(due, now):
            throttle = throttle.flushing_at(due)
            change.throttle = throttle
            return (*items, FlushRequest(self.flush, due))
        if throttle is not before:
            change.throttle = throttle
        return items

    # -- decisions -------------------------------------------------------------------------------------------------

    def _decide_update(
        self, fields: Json, merge_own: MergeOwn | None, new_type: tuple[str | None] | None, now: Moment
    ) -> Change:
        kind = self._state.pipeline_type if new_type is None else new_type[0]
        self._assign_id(kind)
        own = self._state.own if merge_own is None else merge_own(self._state.own)
        return self._state.decide_update(fields, own, kind, now)

    def _decide_progress(
        self, name: str, file_id: str | None, stage: str, fraction: float | None, now: Moment
    ) -> Change:
        key = self._state.files.find(name, file_id)
        if key is None:
            change = Change(now, _nothing, ())
            change.known = False
            return change
        return self._state.decide_progress(key, stage, fraction, now)

    def _decide_id(self, now: Moment) -> None:  # noqa: ARG002 - every decision gets it
        self._assign_id(self._state.pipeline_type)

    def _decide_flush(self, everything: bool, with_status: bool, now: Moment) -> Change:
        change = self._state.decide_release(now, everything=everything)
        if with_status and everything:  # what is released here is owed a status, too
            change.status = self._throttle.status_due != NEVER or bool(change.events)
        elif with_status:
            change.status = self._throttle.owes_status(now.mono)
        if now.mono >= self._throttle.flush_due:
            # The request that led here is used up. One that is still under way stays: with two servers in a process
            # each would otherwise ask again for each flush of the other.
            self._throttle = self._throttle.flushing_at(NEVER)
        return change

    def _decide_attach(self, sink: Sink, restore: Restore | None, now: Moment) -> Change | None:
        if self.closed or sink in self._sinks:
            return None
        if restore is not None:
            self._restores = [*self._restores, (sink, restore)]
        if not self._id_assigned:
            return Change(now, self._apply_sink, (sink,))
        self._sinks_and_resume(sink)
        return self._for_one(sink, self._state.status_event(now), now)

    def _decide_show_to(self, sink: Sink, receiver: object, now: Moment) -> Change:
        return self._for_one(sink, SnapshotFor(self._state.status_event(now), receiver), now)

    def _for_one(self, sink: Sink, item: Published, now: Moment) -> Change:
        change = Change(now, _nothing, ())
        change.deliveries = ((sink.publish_all, iter([item])),)
        return change

    def _apply_sink(self, sink: Sink) -> None:
        if sink not in self._sinks:
            self._sinks = (*self._sinks, sink)
        self._throttle = self._throttle.flushing_at(NEVER)  # this sink was not asked yet

    def _sinks_and_resume(self, sink: Sink) -> None:
        self._apply_sink(sink)
        self._resume(clocks.read())

    def _assign_id(self, pipeline_type: str | None) -> None:
        """Take the id for good, and continue the history that an attached journal has of it."""
        if self._id_assigned:
            return
        if not self.closed:
            self._state.pipeline_id = registry.claim_any(self, pipeline_type)
            self._resume(clocks.read())
        self._id_assigned = True

    def _resume(self, now: Moment) -> None:
        restores, self._restores = self._restores, []
        for _, restore in restores:
            saved = restore(self._state.pipeline_id)
            if saved is not None:
                self._resume_from(saved, now)

    def _resume_from(self, saved: SavedState, now: Moment) -> None:
        if saved.epoch == self._state.epoch:  # this very history, from an earlier server of this process
            if saved.seq != self._state.seq:
                self._state.epoch = _new_epoch()  # that journal lacks what came since
        elif not self._resumed:
            self._resumed = True
            self._unfinished = change = decide_resume(self._state, saved, now)
            self._finish(change)


def _deep_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deep_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep_copy(item) for item in value]
    return value


def _decide_nothing(now: Moment) -> None:
    """Have the lock taken, and what was left finished."""


_NEXT_ONE: Deferred = (_decide_nothing, ())


def _nothing() -> None:
    """Change nothing."""


def _new_epoch() -> str:
    return secrets.token_hex(8)


def _after_fork() -> None:
    registry.after_fork()
    for core in list(_cores):
        core.after_fork()


os.register_at_fork(after_in_child=_after_fork)
