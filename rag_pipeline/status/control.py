"""What people ask of a running pipeline: pause, resume, check now, confirm deletions, retry or cancel a file.

A pipeline that can be directed sets ``PipelineStatus.control``; servers find it there. Asking leaves a note and
returns: the pipeline's own threads do what was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import NamedTuple

from rag_pipeline.common import native
from rag_pipeline.errors import ExitCode, RagPipelineError

MAX_WAITING = 1000


class Action(StrEnum):
    """What can be asked.

    pause: begin no further file and make no further check; what is in flight goes on to its end.
    resume: go on.
    check: look now at what there is in the source.
    retry: do a failed file again, now.
    cancel: leave a file, and do it after all others.
    confirm: delete the files that are held because too many are gone at once.
    """

    PAUSE = "pause"
    RESUME = "resume"
    CHECK = "check"
    RETRY = "retry"
    CANCEL = "cancel"
    CONFIRM = "confirm"


NEED_FILE = frozenset({Action.RETRY, Action.CANCEL})
"""The actions that are about one file; the others are about none."""


class ControlError(RagPipelineError, ValueError):
    """What was asked of a pipeline can't be done, or not now; the message says why in one line."""

    exit_code = ExitCode.REFUSED


class ControlRequest(NamedTuple):
    """What was asked, and of which file, for the actions that need one; ``deletions`` is how many are meant."""

    action: Action
    file_id: str | None = None
    deletions: int | None = None


class Control:
    """Between those who ask and the one pipeline that does it; every call is safe from any thread and never waits.

    ``actions`` is what the pipeline can do. One that needs to know more than that before it agrees calls
    :meth:`attend`. Nothing here outlives the process: a pipeline that was paused runs after a restart.
    """

    def __init__(self, actions: Collection[Action] = tuple(Action)) -> None:
        self._actions = frozenset(actions)
        self._lock = native.RLock()  # protects all below
        self._refuse: Callable[[ControlRequest], str | None] | None = None
        self._on_ask: Callable[[], None] | None = None
        self._paused_since: float | None = None
        self._waiting: dict[ControlRequest, None] = {}
        self._closed = False

    @property
    def actions(self) -> frozenset[Action]:
        """What can be asked: nothing of a pipeline that has ended."""
        return frozenset() if self._closed else self._actions

    # -- who asks --------------------------------------------------------------------------------------------------

    def ask(self, action: Action, file_id: str | None = None, *, deletions: int | None = None) -> None:
        """Ask for something; asking twice is asking once.

        ``deletions``, for ``confirm``, is how many held deletions the person has seen: if more are held by then, none
        is confirmed.
        Pausing and resuming hold from here on, the rest is done as soon as the pipeline comes to it. Raises
        :class:`ControlError` for what can't be done: a file that isn't known, a retry of one that hasn't failed, ….
        """
        request = ControlRequest(action, file_id, deletions)
        self._check(request)
        with self._lock:
            self._check_open()
            self._note(request._replace(action=Action(action)))
        if self._on_ask is not None:
            self._on_ask()

    # -- the pipeline ----------------------------------------------------------------------------------------------

    def attend(self, refuse: Callable[[ControlRequest], str | None], on_ask: Callable[[], None]) -> None:
        """Tell what decides and what wakes the pipeline; both are called in the thread of who asks, and must not wait.

        ``refuse`` returns why a request can't be granted, None if it can. ``on_ask`` is called after each request.
        """
        with self._lock:
            self._refuse, self._on_ask = refuse, on_ask

    @property
    def paused(self) -> bool:
        """Whether no further work may begin."""
        return self._paused_since is not None

    @property
    def paused_since(self) -> float | None:
        """When the pause began, in seconds since 1970; None if there is none."""
        return self._paused_since

    def take(self) -> list[ControlRequest]:
        """Return what was asked since the last call, in that order: all but pauses."""
        with self._lock:
            taken, self._waiting = list(self._waiting), {}
        return taken

    def close(self) -> None:
        """The pipeline has ended: nothing more can be asked; idempotent."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._paused_since = None

    # ----------------------------------------------------------------------------------------------------------------

    def _check(self, request: ControlRequest) -> None:
        action, file_id, deletions = request
        self._check_open()
        if action not in self._actions:
            can = ", ".join(known for known in Action if known in self._actions)
            raise ControlError(f"{action} is not something this pipeline does: it knows {can or 'no action'}")
        if action in NEED_FILE and not file_id:
            raise ControlError(f"{action} needs the id of a file")
        if action not in NEED_FILE and file_id is not None:
            raise ControlError(f"{action} is about the whole pipeline, not about a file")
        if action != Action.CONFIRM and deletions is not None:
            raise ControlError(f"{action} is about no number of files")
        reason = None if self._refuse is None else self._refuse(request)
        if reason is not None:
            raise ControlError(reason)

    def _check_open(self) -> None:
        if self._closed:
            raise ControlError("the pipeline has ended")

    def _note(self, request: ControlRequest) -> None:
        if request.action is Action.PAUSE:
            self._paused_since = self._paused_since or time.time()
        elif request.action is Action.RESUME:
            self._paused_since = None
        elif request.action is Action.CHECK and self.paused:
            raise ControlError("the pipeline is paused: resume it first")
        elif request not in self._waiting and len(self._waiting) >= MAX_WAITING:
            raise ControlError(f"{MAX_WAITING} requests wait already: the pipeline has not come to them yet")
        else:
            self._waiting[request] = None
