"""PipelineStatus: the calls a pipeline makes. Checks arguments, holds the lock, publishes what the state returns."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from rag_pipeline import logs, native
from rag_pipeline.config import check_pipeline_id
from rag_pipeline.control import Control
from rag_pipeline.events import Event, Json
from rag_pipeline.status import checks
from rag_pipeline.status.clocks import now as _now
from rag_pipeline.status.failures import failure
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import RESERVED_FIELDS, FileError, FileRecord, StateBody
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.publisher import Directed, Publisher, Sink
from rag_pipeline.status.registry import registry, wished_ids
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.stages import Durations
from rag_pipeline.status.state import Moment, PipelineState

logger = logging.getLogger("rag_pipeline.status")

MAX_WARNINGS = 1000

T = TypeVar("T")
Restore = Callable[[str], SavedState | None]

_UNCHANGED = object()
_created = itertools.count()
_instances: weakref.WeakSet[PipelineStatus] = weakref.WeakSet()

_SETTABLE: dict[str, Callable[[str, object], Any]] = {
    "status": checks.check_label,
    "started_at": checks.check_time,
    "last_activity": checks.check_time,
    "last_check_time": checks.check_time,
    "next_check_time": checks.check_time,
    "check_interval": checks.check_number,
    "is_checking": checks.check_bool,
    "files_queued": checks.check_count,
}


class PipelineStatus:
    """The live state of one pipeline; every call is safe from any thread, task or greenlet and never waits for I/O.

    Without ``pipeline_id`` the id is ``RAG_PIPELINE_ID`` or ``<type>-<host name>`` and is settled by the first call
    that changes the state. An id that another instance of this process has passes to the new one. The lock is
    reentrant: a signal handler that reports while its own thread is inside a call is served right after that call.
    ``control`` is what a pipeline that can be paused, resumed and so on listens to; None for one that can't.
    """

    def __init__(self, pipeline_type: str | None = None, pipeline_id: str | None = None) -> None:
        if pipeline_type is not None:
            pipeline_type = checks.check_type("pipeline_type", pipeline_type)
        if pipeline_id is not None:
            pipeline_id = check_pipeline_id("pipeline_id", checks.check_label("pipeline_id", pipeline_id))
        self._prepare(pipeline_type)
        self._claim(pipeline_id)
        registry.announce(self)

    def _prepare(self, pipeline_type: str | None) -> None:
        self.created = next(_created)
        self.control: Control | None = None  # set by a pipeline that can be directed
        _instances.add(self)
        self._lock = native.RLock()
        self._inside = False
        self._deferred: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._out = Publisher(self)
        self._settled = False
        self._closed = False
        self._restore: Restore | None = None
        self._went_on = False
        self._warned: set[str] = set()
        provisional = next(iter(wished_ids(pipeline_type)))
        self._state = PipelineState(provisional, pipeline_type, _new_epoch(), _now())

    # -- what a pipeline calls -------------------------------------------------------------------------------------

    def update(self, /, **fields: Any) -> None:
        """Set fields of the state, own ones too, and emit ``pipeline:status``.

        Times are datetimes, ISO 8601 strings or seconds since 1970; own fields are anything JSON can express. Raises
        TypeError or ValueError, with nothing changed, for what the service computes itself and for bad values.
        """
        known: Json = {}
        own: Json = {}
        pipeline_type: object = _UNCHANGED
        for key, value in fields.items():
            if key == "pipeline_type":
                pipeline_type = None if value is None else checks.check_type(key, value)
            elif key == "seconds_until_next_check":
                wait = checks.check_number(key, value)
                known["next_check_time"] = None if wait is None else checks.check_time(key, time.time() + wait)
            elif key in _SETTABLE:
                known[key] = _SETTABLE[key](key, value)
            elif key in RESERVED_FIELDS:
                raise ValueError(f"{key} is computed by the service and can't be set")
            else:
                own[checks.check_own_key(key)] = checks.json_copy(key, value)
        if known.get("started_at", 0) is None:
            raise ValueError("started_at must be a time, not None")
        if own:
            checks.check_own({**self._state.own, **own})
        self._run(self._update, known, own, pipeline_type)

    def get(self) -> dict[str, Any]:
        """Return a deep copy of the state."""
        body = self.snapshot()
        copied: dict[str, Any] = _deep_copy(body.to_json(time.time()))
        return copied

    def add_processing_file(
        self,
        filename: str,
        file_id: str | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> None:
        """Put a file in flight and emit ``pipeline:file_processing_started``.

        A file that is in flight already, or whose last attempt failed, starts over with ``attempt`` one higher.
        ``size`` is in bytes.
        """
        file = FileRecord(
            checks.check_name("filename", filename),
            checks.check_optional_name("file_id", file_id),
            checks.check_count("size", size),
            checks.check_optional_name("mime_type", mime_type),
            checks.check_optional_name("link", link),
        )
        self._run(self._start, file)

    def file_progress(
        self, filename: str, stage: str, progress: float | None = None, *, file_id: str | None = None
    ) -> None:
        """Set a file's stage and its fraction, 0 to 1; emits ``pipeline:file_progress``, at most 10 a second a file.

        What comes faster is summed up: the last value always goes out. For a file that isn't in flight it does
        nothing but log one warning for that name.
        """
        name = checks.check_name("filename", filename)
        file_id = checks.check_optional_name("file_id", file_id)
        stage = checks.check_label("stage", stage)
        progress = checks.check_fraction("progress", progress)
        if self._run(self._progress, name, file_id, stage, progress) is False and self._first_warning(name):
            about = logs.about(self.pipeline_id, file_id)
            logger.warning("progress of file %r, which is not in flight, was ignored", name, extra=about)

    def complete_file(
        self,
        filename: str,
        success: bool = True,
        *,
        file_id: str | None = None,
        result: Any = None,
        error: BaseException | Mapping[str, Any] | str | None = None,
    ) -> None:
        """Take a file out of flight; emits ``pipeline:file_completed`` or, without ``success``, ``…_failed``.

        ``error`` is an exception, a text, or a mapping with any of ``type``, ``message``, ``stage``, ``retryable``.
        A file that was never started is counted and emitted too, with one warning in the log.
        """
        file = _file(filename, file_id)
        result = checks.json_copy("result", result)
        success = checks.check_bool("success", success)
        if success and error is not None:
            raise ValueError("error goes with success=False only")
        reason = None if success else failure(error)
        if self._run(self._complete, file, result, reason) is False:
            about = logs.about(self.pipeline_id, file.id)
            logger.warning("file %r was completed but never started", file.name, extra=about)

    def skip_file(self, filename: str, reason: str, *, file_id: str | None = None) -> None:
        """Count a file as done without work, with the reason; emits ``pipeline:file_skipped``."""
        file = _file(filename, file_id)
        self._run(self._skip, file, checks.check_message("reason", reason))

    def delete_file(self, filename: str, *, file_id: str | None = None) -> None:
        """Note that a file's source is gone; emits ``pipeline:file_deleted``."""
        self._run(self._delete, _file(filename, file_id))

    def processing(
        self,
        filename: str,
        file_id: str | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> Processing:
        """Return a context manager, ``with`` or ``async with``: started … completed, or failed and re-raised."""
        return Processing(self, filename, file_id, size=size, mime_type=mime_type, link=link)

    def in_flight_token(self, filename: str, file_id: str | None = None) -> object:
        """Return an object that stands for this start of exactly this file; None if it isn't in flight."""
        file = _file(filename, file_id)
        return self._state.started_token(key_of(file.name, file.id))

    def close(self) -> None:
        """Take the pipeline off the service: later calls change the state but are shown to no one; idempotent."""
        registry.remove(self)
        with self._lock:
            self._closed = True
            self._out.clear()

    @property
    def interrupted(self) -> tuple[FileRecord, ...]:
        """The files that were in flight when the last process of this id ended: they have failed, and want a retry.

        A kill can come between the end of a file's work and the moment its event is kept, so one may be done already.
        Known from the first call on that changes the state.
        """
        return self._state.interrupted

    # -- what a server calls ---------------------------------------------------------------------------------------

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
    def closed(self) -> bool:
        """Whether the pipeline was closed, or another took its id."""
        return self._closed

    def snapshot(self) -> StateBody:
        """Return the state at this moment, immutable and consistent."""
        return self._read(self._state.body)

    def measured(self) -> tuple[StateBody, Durations]:
        """Return the state, and how long files and their stages took, as of the same moment."""
        return self._read(lambda now: (self._state.body(now), self._state.times.durations()))

    def status_event(self) -> Event:
        """Return the state as the ``pipeline:status`` event that a newcomer gets."""
        return self._read(self._state.status_event)

    def attach(self, sink: Sink, restore: Restore | None = None) -> None:
        """Publish to the sink from now on, the state as it stands first.

        ``restore`` returns what a pipeline of this id goes on from; it is asked once, when the id is settled, and must
        not wait.
        """
        self._run(self._attach, sink, restore)

    def show_to(self, sink: Sink, receiver: object) -> str | None:
        """Publish the state to the sink for one receiver; return the id it shows, None if the pipeline is closed."""
        return self._run(self._show_to, sink, receiver)

    def begin_epoch(self) -> tuple[str, str]:
        """Begin a new epoch, and say so; return the old one and the new: a journal does not have all of the old."""
        old, new = self._state.epoch, _new_epoch()
        self._run(self._begin_epoch, new)
        return old, new

    def detach(self, sink: Sink) -> None:
        """Stop publishing to the sink."""
        with self._lock:
            self._out.remove(sink)

    def flush(self, *, everything: bool = False) -> None:
        """Publish what was held back and is due, or all of it: progress, and the status that follows file events."""
        self._run(self._flush, everything)

    def after_fork(self) -> None:
        """Start afresh in a forked child: it has no servers, and its parent's threads may have held the lock."""
        self._lock = native.RLock()
        self._inside = False
        self._deferred.clear()
        self._out.clear()
        self._state.epoch = _new_epoch()  # from here on the same numbers mean other events

    # -- under the lock --------------------------------------------------------------------------------------------

    def _run(self, mutate: Callable[..., T], *args: Any) -> T | None:
        with self._lock:
            if self._inside:
                self._deferred.append((mutate, args))
                return None
            self._inside = True
            try:
                return mutate(*args)
            finally:
                self._leave()

    def _read(self, make: Callable[[Moment], T]) -> T:
        with self._lock:
            outermost, self._inside = not self._inside, True
            try:
                return make(_now())
            finally:
                if outermost:
                    self._leave()

    def _leave(self) -> None:
        # In this order: whatever a signal handler defers until here is seen by the loop, and later it defers no more.
        self._inside = False
        while self._deferred:
            mutate, args = self._deferred.pop(0)
            self._run(mutate, *args)

    def _update(self, fields: Json, own: Json, pipeline_type: object) -> None:
        now = _now()
        kind = self._state.pipeline_type if pipeline_type is _UNCHANGED else cast("str | None", pipeline_type)
        self._settle(kind)
        self._out.status(self._state.update(fields, own, kind, now), now)

    def _start(self, file: FileRecord) -> None:
        now = _now()
        self._settle(self._state.pipeline_type)
        self._file_event(self._state.start_file(file, now), now)

    def _progress(self, name: str, file_id: str | None, stage: str, progress: float | None) -> bool:
        key = self._state.files.find(name, file_id)
        if key is None:
            return False
        now = _now()
        event = self._state.progress(key, stage, progress, now)
        if event is not None:
            self._file_event(event, now)
        else:
            self._out.ask_flush(self._state.release_due(key), now)
            self._out.owe_status(now)
        return True

    def _complete(self, file: FileRecord, result: Any, error: FileError | None) -> bool:
        key, now = self._last_progress(file)
        self._file_event(self._state.complete(key, file, result, error, now), now)
        return key is not None

    def _skip(self, file: FileRecord, reason: str) -> None:
        key, now = self._last_progress(file)
        self._file_event(self._state.skip(key, file, reason, now), now)

    def _delete(self, file: FileRecord) -> None:
        key, now = self._last_progress(file)
        self._file_event(self._state.delete(key, file, now), now)

    def _file_event(self, event: Event, now: Moment) -> None:
        self._out.publish(event)
        if self._out.takes_status(now):
            self._out.status(self._state.status_event(now), now)
        else:
            self._out.owe_status(now)

    def _publish_held(self, released: list[Event], now: Moment) -> None:
        """Publish progress that was held back. A status follows it too: an earlier one has a lower number."""
        for event in released[:-1]:
            self._out.publish(event)
        if released:
            self._file_event(released[-1], now)

    def _last_progress(self, file: FileRecord) -> tuple[Key | None, Moment]:
        """Find the file that is about to end and publish its last progress if that was held back."""
        now = _now()
        self._settle(self._state.pipeline_type)
        key = self._state.files.find(file.name, file.id)
        held = None if key is None else self._state.release_one(key, now)
        if held is not None:
            self._out.publish(held)
        return key, now

    def _attach(self, sink: Sink, restore: Restore | None) -> None:
        if self._closed or sink in self._out:
            return
        now = _now()
        self._restore = restore
        self._publish_held(self._state.release_all(now), now)
        self._out.add(sink)
        if self._settled:
            self._go_on(now)
            sink.publish(self._state.status_event(now))

    def _show_to(self, sink: Sink, receiver: object) -> str | None:
        if self._closed:
            return None
        event = self._state.status_event(_now())
        sink.publish(Directed(event, receiver))
        return event.pipeline_id

    def _begin_epoch(self, epoch: str) -> None:
        self._state.epoch = epoch
        now = _now()
        self._out.status(self._state.status_event(now), now)

    def _go_on(self, now: Moment) -> None:
        """Go on from where the last process with this id ended, if a journal knows of one."""
        restore, self._restore = self._restore, None
        saved = None if restore is None else restore(self._state.pipeline_id)
        if saved is None:
            return
        if saved.epoch == self._state.epoch:  # this very history, of a server before
            if saved.seq != self._state.seq:
                self._state.epoch = _new_epoch()  # what came since is in no journal
        elif not self._went_on:
            self._went_on = True
            for event in self._state.go_on(saved, now):
                self._out.publish(event)

    def _flush(self, everything: bool) -> None:
        now = _now()
        self._publish_held(self._state.release_all(now) if everything else self._state.release(now), now)
        if self._out.status_is_due(now, early=everything):
            self._out.status(self._state.status_event(now), now)
        self._out.flushed(self._state.next_release(), now)

    def _first_warning(self, name: str) -> bool:
        """Return whether to warn: once for a name, and for a bounded number of names."""
        if name in self._warned or len(self._warned) >= MAX_WARNINGS:
            return False
        self._warned.add(name)
        return True

    def _settle(self, pipeline_type: str | None) -> None:
        if self._settled:
            return
        self._settled = True
        if not self._closed:
            self._state.pipeline_id = registry.claim_any(self, pipeline_type)
            self._go_on(_now())

    def _claim(self, pipeline_id: str | None) -> None:
        if pipeline_id is None:
            self._state.pipeline_id = registry.claim_any(self, self._state.pipeline_type)
            return
        self._state.pipeline_id = pipeline_id
        self._settled = True
        former = registry.claim(self, pipeline_id)
        if former is not None:
            former.close()
            logger.warning(
                "pipeline id %r passed to a new PipelineStatus; the older one is shown no more",
                pipeline_id,
                extra=logs.about(pipeline_id),
            )


class DefaultPipelineStatus(PipelineStatus):
    """The process-wide default: takes an id only once it reports, so that it stands in nobody's way until then."""

    def __init__(self) -> None:
        self._prepare(None)


def _new_epoch() -> str:
    return secrets.token_hex(8)


def _file(name: object, file_id: object) -> FileRecord:
    return FileRecord(checks.check_name("filename", name), checks.check_optional_name("file_id", file_id))


def _deep_copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deep_copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep_copy(item) for item in value]
    return value


pipeline_status = DefaultPipelineStatus()
"""The process-wide default instance."""


def _after_fork() -> None:
    registry.after_fork()
    for pipeline in list(_instances):
        pipeline.after_fork()


os.register_at_fork(after_in_child=_after_fork)
