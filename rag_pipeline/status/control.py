"""Requests to a running pipeline: pause, resume, check now, confirm deletions, retry or postpone a file.

A pipeline that can be controlled sets ``PipelineStatus.control``, where servers find it. A request is queued and
returns at once: the pipeline's own threads carry it out.
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
    """Actions of a pipeline.

    - ``pause``: start no more files or checks; files in flight are finished.
    - ``resume``: end the pause.
    - ``check``: check the source now.
    - ``retry``: process a failed file again, now.
    - ``postpone``: stop a file, and process it after all others; ``cancel`` is accepted as its former name.
    - ``confirm``: delete the files that are held because too many are gone at once.
    """

    PAUSE = "pause"
    RESUME = "resume"
    CHECK = "check"
    RETRY = "retry"
    POSTPONE = "postpone"
    CANCEL = "postpone"
    CONFIRM = "confirm"

    @classmethod
    def _missing_(cls, value: object) -> Action | None:
        return cls.POSTPONE if value == "cancel" else None

    @classmethod
    def parse(cls, name: str) -> Action | None:
        """Return the action with this name, None if there is none."""
        try:
            return cls(name)
        except ValueError:
            return None


NEED_FILE = frozenset({Action.RETRY, Action.POSTPONE})
"""The actions that need a file; the others take none."""


class ControlError(RagPipelineError, ValueError):
    """A pipeline can't do what it was asked, or not now; the message says why in one line."""

    exit_code = ExitCode.REFUSED


class ControlRequest(NamedTuple):
    """A requested action, its file if it needs one, and how many deletions a ``confirm`` is for."""

    action: Action
    file_id: str | None = None
    deletions: int | None = None


class Control:
    """Queue of requests to one pipeline; every call is safe from any thread and never waits.

    ``actions`` are the actions that the pipeline can do. A pipeline that checks more than that calls ``attend``.
    Nothing here outlives the process: a paused pipeline runs again after a restart.
    """

    def __init__(self, actions: Collection[Action] = tuple(Action)) -> None:
        self._actions = frozenset(actions)
        self._lock = native.RLock()  # protects the following
        self._refuse: Callable[[ControlRequest], str | None] | None = None
        self._on_ask: Callable[[], None] | None = None
        self._paused_since: float | None = None
        self._waiting: dict[ControlRequest, None] = {}
        self._closed = False

    @property
    def actions(self) -> frozenset[Action]:
        """The possible actions: none once the pipeline has ended."""
        return frozenset() if self._closed else self._actions

    # -- for servers -------------------------------------------------------------------------------------------------

    def ask(self, action: Action, file_id: str | None = None, *, deletions: int | None = None) -> None:
        """Request an action; a request that is queued already is not queued again.

        Pause and resume take effect at once, the others as soon as the pipeline gets to them. ``deletions``, for
        ``confirm``, is how many held deletions the person has seen: if more are held by then, none is confirmed.
        Raises ControlError if the action is impossible, such as a retry of a file that has not failed.
        """
        request = ControlRequest(action, file_id, deletions)
        self._check(request)
        with self._lock:
            self._check_open()
            self._queue(request._replace(action=Action(action)))
        if self._on_ask is not None:
            self._on_ask()

    # -- for the pipeline --------------------------------------------------------------------------------------------

    def attend(self, refuse: Callable[[ControlRequest], str | None], on_ask: Callable[[], None]) -> None:
        """Set two callbacks, which run in the requesting thread and must not wait.

        ``refuse`` returns why a request is impossible, None if it is possible. ``on_ask`` is called after each request.
        """
        with self._lock:
            self._refuse, self._on_ask = refuse, on_ask

    @property
    def paused(self) -> bool:
        """Whether no more work may start."""
        return self._paused_since is not None

    @property
    def paused_since(self) -> float | None:
        """When the pause began, in seconds since 1970; None if not paused."""
        return self._paused_since

    def take(self) -> list[ControlRequest]:
        """Return the requests since the last call in their order, except pause and resume."""
        with self._lock:
            taken, self._waiting = list(self._waiting), {}
        return taken

    def close(self) -> None:
        """Refuse all further requests, because the pipeline has ended; idempotent."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._paused_since = None

    # ----------------------------------------------------------------------------------------------------------------

    def _check(self, request: ControlRequest) -> None:
        action, file_id, deletions = request
        self._check_open()
        if action not in self._actions:
            possible = ", ".join(one for one in Action if one in self._actions)
            raise ControlError(f"this pipeline can't do {action}; it can do: {possible or 'nothing'}")
        if action in NEED_FILE and not file_id:
            raise ControlError(f"{action} needs the id of a file")
        if action not in NEED_FILE and file_id is not None:
            raise ControlError(f"{action} is about the whole pipeline: expected no file")
        if action != Action.CONFIRM and deletions is not None:
            raise ControlError(f"{action} takes no number of deletions")
        reason = None if self._refuse is None else self._refuse(request)
        if reason is not None:
            raise ControlError(reason)

    def _check_open(self) -> None:
        if self._closed:
            raise ControlError("the pipeline has ended")

    def _queue(self, request: ControlRequest) -> None:
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
