"""StatusCore: one pipeline's state, as servers see it. Users call :class:`PipelineStatus`."""

from __future__ import annotations

import itertools
import os
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.status import clocks
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.control import Control
from rag_pipeline.status.files import key_of
from rag_pipeline.status.identity import PipelineIds, candidate_ids
from rag_pipeline.status.model import FileFailure, FileRecord, FileWarning, StateBody
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.mutation_runner import MutationRunner
from rag_pipeline.status.resume import decide_resume
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import DueFlush, Published, Sink, SnapshotFor
from rag_pipeline.status.stages import Durations
from rag_pipeline.status.state import PipelineState
from rag_pipeline.status.throttle import NEVER, STATUS_INTERVAL_SECONDS, StatusThrottle
from rag_pipeline.status.update import FieldUpdate

Restore = Callable[[str], SavedState | None]
"""Returns what a journal has saved of the pipeline with this id; must not wait."""

_created = itertools.count()
_cores: weakref.WeakSet[StatusCore] = weakref.WeakSet()


class WarningOutcome(Enum):
    """What became of a file's warning: kept, or dropped because the file is not in flight or has 20 others."""

    KEPT = 1
    NOT_IN_FLIGHT = 2
    FULL = 3


class StatusCore(MutationRunner):
    """Decides, applies and publishes the mutations of one pipeline; every call is safe from any thread."""

    def __init__(self, pipeline_type: str | None, pipeline_id: str | None, *, claims: bool = True) -> None:
        super().__init__()
        self.created = next(_created)
        self.control: Control | None = None
        self.closed = False
        _cores.add(self)
        self._sinks: tuple[Sink, ...] = ()
        self._restores: list[tuple[Sink, Restore]] = []  # of journals attached before the id was assigned
        self._throttle = StatusThrottle()
        self._id_assigned = pipeline_id is not None
        self._resumed = False
        provisional = pipeline_id or next(candidate_ids(pipeline_type))
        self._state = PipelineState(provisional, pipeline_type, _new_epoch(), clocks.read())
        if pipeline_id is None and claims:
            self._state.pipeline_id = pipeline_ids.claim_free(self, pipeline_type)

    # -- what a pipeline reports -----------------------------------------------------------------------------------

    def update(self, update: FieldUpdate) -> None:
        """Set fields."""
        self._run(self._decide_update, update)

    def start(self, file: FileRecord) -> None:
        """Put a file in flight."""
        if not self._id_assigned:
            self._run(self._decide_id)
        self._run(self._state.decide_start, file)

    def progress(self, name: str, file_id: str | None, stage: str, fraction: float | None) -> bool:
        """Set a file's stage and fraction; return False if it isn't in flight."""
        mutation = self._run(self._decide_progress, name, file_id, stage, fraction)
        return mutation is None or mutation.known

    def warn(self, name: str, file_id: str | None, warning: FileWarning) -> WarningOutcome:
        """Keep a warning of a file in flight until it completes."""
        mutation = self._run(self._decide_warning, name, file_id, warning)
        if mutation is not None and not mutation.known:
            return WarningOutcome.NOT_IN_FLIGHT
        return WarningOutcome.FULL if mutation is not None and mutation.full else WarningOutcome.KEPT

    def end(
        self, file: FileRecord, outcome: int, result: Any = None, size: int = 0, error: FileFailure | None = None
    ) -> bool:
        """Take a file out of flight; return False if it wasn't in flight. ``size`` is about the result's characters."""
        if not self._id_assigned:
            self._run(self._decide_id)
        mutation = self._run(self._state.decide_end, file, outcome, result, size, error)
        return mutation is None or mutation.known

    def in_flight_token(self, name: str, file_id: str | None) -> object:
        """Return an object that identifies this start of this file; None if it isn't in flight."""
        return self._state.files.get(key_of(name, file_id))

    def close(self) -> None:
        """Take the pipeline off the service; idempotent."""
        pipeline_ids.release(self)
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
        """Whether any sink is attached."""
        return bool(self._sinks)

    @property
    def interrupted(self) -> tuple[FileRecord, ...]:
        """The files that were in flight when the last process of this id ended."""
        return self._state.interrupted

    @property
    def failed_ids(self) -> frozenset[str]:
        """The ids of the last 10,000 files whose last attempt failed, earlier processes included."""
        return self._read(lambda _: self._state.files.failed_ids())

    @property
    def resumed_from(self) -> tuple[str, int] | None:
        """The epoch and ``seq`` up to which a journal has kept the last process's events; None if it has kept none.

        What that process reported later is lost. Known after the first call that changes the state.
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
        """Return the state, and the durations of files and stages, as of the same moment."""
        return self._read(lambda now: (self._state.body(now), self._state.times.durations()))

    def status_event(self) -> PipelineEvent:
        """Return the state as the ``pipeline:status`` event for a new client."""
        return self._read(self._state.status_event)

    def attach(self, sink: Sink, restore: Restore | None = None) -> None:
        """Publish to the sink from now on, beginning with the current state.

        ``restore`` is called once, when the pipeline's id is assigned.
        """
        self._run(self._decide_flush, True, False)
        self._run(self._decide_attach, sink, restore)

    def detach(self, sink: Sink) -> None:
        """Stop publishing to the sink."""
        with self._lock:
            self._restores = [(owner, restore) for owner, restore in self._restores if owner is not sink]
            self._sinks = tuple(one for one in self._sinks if one is not sink)

    def show_to(self, sink: Sink, receiver: object) -> str | None:
        """Publish the state to the sink for one receiver; return its pipeline id, None if the pipeline is closed."""
        if self.closed:
            return None
        pipeline_id = self._state.pipeline_id
        self._run(self._decide_show_to, sink, receiver)
        return pipeline_id

    def begin_epoch(self) -> tuple[str, str]:
        """Begin and publish a new epoch, because a journal lacks events of the old one; return the old and the new."""
        old, new = self._state.epoch, _new_epoch()
        self._run(self._state.decide_epoch, new)
        return old, new

    def flush(self, *, everything: bool = False) -> None:
        """Publish the held-back progress and status that are due, or ``everything`` held back."""
        self._run(self._decide_flush, everything, True)

    def after_fork(self) -> None:
        """Start afresh in a forked child, which has no servers."""
        self._renew_lock()
        self._sinks = ()
        self._restores.clear()
        self._state.epoch = _new_epoch()  # from here on the same numbers mean other events

    # -- under the lock --------------------------------------------------------------------------------------------

    def _carry_out(self, mutation: Mutation) -> None:
        deliveries = mutation.deliveries
        if deliveries is None:
            mutation.apply(*mutation.args)
            sinks = self._sinks
            items: Sequence[Published] = ()
            if sinks:
                items = self._outgoing(mutation)
            elif mutation.status:  # a later sink begins with the current state
                mutation.throttle = self._throttle.after_status(mutation.now.mono)
            if len(sinks) == 1:
                deliveries = ((sinks[0].publish_all, iter(items)),)
            else:
                deliveries = tuple([(sink.publish_all, iter(items)) for sink in sinks])
            mutation.deliveries = deliveries
        for publish_all, items_left in deliveries:
            publish_all(items_left)
        if mutation.throttle is not None:
            self._throttle = mutation.throttle

    def _outgoing(self, mutation: Mutation) -> Sequence[Published]:
        """Return what an applied mutation publishes: its events, perhaps a status and a flush to come."""
        now, before = mutation.now.mono, self._throttle
        throttle, items = before, mutation.events
        if mutation.status or (items and now >= throttle.sent + STATUS_INTERVAL_SECONDS):
            status = self._state.status_event(mutation.now, mutation.former_type, numbered=mutation.numbered)
            throttle, items = throttle.after_status(now), (*items, status)
        elif throttle.status_due == NEVER:
            if items or mutation.owes_status:
                throttle = throttle.owing_status(now)
        elif mutation.due is None and throttle.flush_due <= throttle.status_due and now < throttle.status_due:
            return items  # nearly always: a status is owed, and a flush is planned
        due = throttle.status_due if mutation.due is None else min(mutation.due, throttle.status_due)
        if due != NEVER and throttle.needs_flush(due, now):
            throttle = throttle.flushing_at(due)
            mutation.throttle = throttle
            return (*items, DueFlush(self.flush, due))
        if throttle is not before:
            mutation.throttle = throttle
        return items

    # -- decisions -------------------------------------------------------------------------------------------------

    def _decide_update(self, update: FieldUpdate, now: Moment) -> Mutation:
        state = self._state
        pipeline_type = state.pipeline_type if update.new_type is None else update.new_type[0]
        self._assign_id(pipeline_type)
        own = state.own if update.merge_own is None else update.merge_own(state.own)
        return state.decide_update(update.fields, own, pipeline_type, now)

    def _decide_progress(
        self, name: str, file_id: str | None, stage: str, fraction: float | None, now: Moment
    ) -> Mutation:
        key = self._state.files.find(name, file_id)
        if key is None:
            mutation = Mutation(now, _change_nothing, ())
            mutation.known = False
            return mutation
        return self._state.decide_progress(key, stage, fraction, now)

    def _decide_warning(self, name: str, file_id: str | None, warning: FileWarning, now: Moment) -> Mutation:
        key = self._state.files.find(name, file_id)
        if key is None:
            mutation = Mutation(now, _change_nothing, ())
            mutation.known = False
            return mutation
        return self._state.decide_warning(key, warning, now)

    def _decide_id(self, now: Moment) -> None:  # noqa: ARG002 - every decision gets it
        self._assign_id(self._state.pipeline_type)

    def _decide_flush(self, everything: bool, with_status: bool, now: Moment) -> Mutation:
        mutation = self._state.decide_release(now, everything=everything)
        if with_status and everything:  # the released progress is owed a status, too
            mutation.status = self._throttle.status_due != NEVER or bool(mutation.events)
        elif with_status:
            mutation.status = self._throttle.owes_status(now.mono)
        if now.mono >= self._throttle.flush_due:
            # The planned flush that led here is used up. One that is still to come stays: with two servers in a
            # process, each would otherwise plan another one for each flush of the other.
            self._throttle = self._throttle.flushing_at(NEVER)
        return mutation

    def _decide_attach(self, sink: Sink, restore: Restore | None, now: Moment) -> Mutation | None:
        if self.closed or sink in self._sinks:
            return None
        if restore is not None:
            self._restores = [*self._restores, (sink, restore)]
        if not self._id_assigned:
            return Mutation(now, self._apply_sink, (sink,))
        self._apply_sink(sink)
        self._resume(clocks.read())
        return self._for_one(sink, self._state.status_event(now), now)

    def _decide_show_to(self, sink: Sink, receiver: object, now: Moment) -> Mutation:
        return self._for_one(sink, SnapshotFor(self._state.status_event(now), receiver), now)

    def _for_one(self, sink: Sink, item: Published, now: Moment) -> Mutation:
        mutation = Mutation(now, _change_nothing, ())
        mutation.deliveries = ((sink.publish_all, iter([item])),)
        return mutation

    def _apply_sink(self, sink: Sink) -> None:
        if sink not in self._sinks:
            self._sinks = (*self._sinks, sink)
        self._throttle = self._throttle.flushing_at(NEVER)  # this sink has no planned flush yet

    def _assign_id(self, pipeline_type: str | None) -> None:
        """Assign the id for good, and continue the history that an attached journal has of it."""
        if self._id_assigned:
            return
        if not self.closed:
            self._state.pipeline_id = pipeline_ids.claim_free(self, pipeline_type)
            self._resume(clocks.read())
        self._id_assigned = True

    def _resume(self, now: Moment) -> None:
        restores, self._restores = self._restores, []
        for _, restore in restores:
            saved = restore(self._state.pipeline_id)
            if saved is not None:
                self._resume_from(saved, now)

    def _resume_from(self, saved: SavedState, now: Moment) -> None:
        if saved.epoch == self._state.epoch:  # the same history, from an earlier server of this process
            if saved.seq != self._state.seq:
                self._state.epoch = _new_epoch()  # that journal lacks the later events
        elif not self._resumed:
            self._resumed = True
            self._unfinished = mutation = decide_resume(self._state, saved, now)
            self._finish(mutation)


def _deep_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deep_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep_copy(item) for item in value]
    return value


def _change_nothing() -> None:
    """Apply a mutation that only publishes."""


def _new_epoch() -> str:
    return secrets.token_hex(8)


pipeline_ids: PipelineIds[StatusCore] = PipelineIds()
"""The ids of this process's pipelines."""


def _after_fork() -> None:
    pipeline_ids.after_fork()
    for core in list(_cores):
        core.after_fork()


os.register_at_fork(after_in_child=_after_fork)
