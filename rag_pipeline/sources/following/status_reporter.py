"""What the pipeline says of itself as a whole: the status word, the checks, the queue, a pause."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rag_pipeline.common.config import RunMode
from rag_pipeline.contract.events import iso
from rag_pipeline.sources.following.breaker import Trouble
from rag_pipeline.status import PipelineStatus

QUEUE_INTERVAL_SECONDS = 0.25
LONG_LOOK_SECONDS = 1.0
"""A look that takes no longer is not shown while it lasts."""


class Shown:
    """Keeps the fields of the status true, and says each thing once; used by the run loop's thread alone.

    A look that finds nothing new changes the times of the checks and nothing else, so that a folder in which nothing
    happens leaves no entries in a journal.
    """

    def __init__(self, status: PipelineStatus, mode: RunMode, check_interval_seconds: float) -> None:
        self._status = status
        self._once = mode is RunMode.SINGLE
        self._check_interval_seconds = check_interval_seconds
        self._paused = False
        self._trouble: Trouble | None = None
        self._held: str | None = None  # what is said of deletions that are held
        self._shown: dict[str, object] = {}
        self._looking_since: float | None = None  # of a look that is not shown
        self._queue_shown = float("-inf")

    def starting(self, about: Mapping[str, object], *, stored: int) -> None:
        """The pipeline gets ready; ``about`` is what the source says of itself."""
        self._show(
            status="initializing",
            check_interval=None if self._once else self._check_interval_seconds,
            own={"files_stored": stored, "paused_since": None, "deletions_held": None, **about},
        )

    def looking(self) -> None:
        """A look begins: shown at once if it is the first one, else by :meth:`still_looking`.

        The word of a pipeline that works, is idle or in trouble stays as it is.
        """
        if self._word in ("initializing", "scanning"):
            self._show(status="scanning", is_checking=True)
        else:
            self._looking_since = time.monotonic()

    def still_looking(self) -> None:
        """Show a look that takes long; called often while it lasts."""
        if self._looking_since is not None and time.monotonic() - self._looking_since >= LONG_LOOK_SECONDS:
            self._looking_since = None
            self._show(is_checking=True)

    def looked(self, about: Mapping[str, object], wait_seconds: float, *, watching: str | None) -> None:
        """A look has ended; the next one comes after ``wait_seconds`` at the latest."""
        word = self._word
        if self._alarm is not None:
            word = "error"
        elif word == "error":
            word = "scanning"
        own = {"watching": watching, "message": self._alarm, **about}
        self._checked(wait_seconds, own, status=word, last_check_time=time.time())

    def held(self, count: int, message: str | None) -> None:
        """So many deletions are held, which ``message`` tells; shown with the end of the look."""
        self._held = message
        self._show(own={"deletions_held": count or None})

    def unavailable(self, message: str, wait_seconds: float, *, watching: str | None, checked: bool) -> None:
        """Nothing can be seen, or fetched if that was found without a check; it is tried again."""
        seen = {"last_check_time": time.time()} if checked else {}
        own = {"watching": watching, "message": message}
        self._checked(wait_seconds, own, status="error", files_queued=0, **seen)

    def troubled(self, trouble: Trouble | None) -> None:
        """Show which dependency fails and when it is tried again, or that none does any more."""
        before, self._trouble = self._trouble, trouble
        if trouble is None and before is not None:
            self._show(own={"message": self._alarm, "next_try_time": None})

    def paused(self, since: float) -> None:
        """No file is begun and no check is made; what is in flight goes on."""
        self._paused = True
        self._looking_since = None
        own = {"paused_since": iso(since), "message": self._held}
        self._show(status="paused", is_checking=False, next_check_time=None, own=own)

    def resumed(self) -> None:
        """It goes on, with a check."""
        self._paused = False
        self._show(status="scanning", own={"paused_since": None})

    def progress(self, *, idle: bool, queued: int, stored: int) -> None:
        """Show the queue, at most four times a second, and at once when the work begins or ends."""
        word = "idle" if idle else "processing"
        if self._paused or self._alarm is not None:
            word = "paused" if self._paused else "error"
        own: dict[str, object] = {"files_stored": stored}
        if self._trouble is not None and not self._paused:
            own |= {"message": self._trouble.message, "next_try_time": iso(self._trouble.next_try_time)}
        now = time.monotonic()
        if word == self._word and now - self._queue_shown < QUEUE_INTERVAL_SECONDS:
            return
        if self._show(status=word, files_queued=queued, own=own):
            self._queue_shown = now

    def stored(self, count: int) -> None:
        """Show how many files are stored where nothing else can be told: what is in flight goes on to its end."""
        self._show(own={"files_stored": count})

    def stopped(self) -> None:
        """The pipeline has ended in order."""
        own: dict[str, object] = {"paused_since": None, "deletions_held": None}
        if self._held is not None:
            own["message"] = None
        self._show(status="stopped", is_checking=False, next_check_time=None, own=own)

    def error(self, message: str) -> None:
        """The pipeline can't go on."""
        own = {"paused_since": None, "message": message, "next_try_time": None}
        self._show(status="error", is_checking=False, next_check_time=None, own=own)

    @property
    def _alarm(self) -> str | None:
        """Why a person should look: a dependency fails, or deletions are held."""
        return self._held if self._trouble is None else self._trouble.message

    @property
    def _word(self) -> object:
        return self._shown.get("status", "initializing")

    def _checked(self, wait_seconds: float, own: Mapping[str, object], **fields: Any) -> None:
        self._looking_since = None
        next_check_time = None if self._once else time.time() + wait_seconds
        self._show(is_checking=False, next_check_time=next_check_time, own=own, **fields)

    def _show(self, *, own: Mapping[str, object] | None = None, **fields: Any) -> bool:
        """Show what is not shown as it is; return whether there was any such thing."""
        new_fields, new_own = self._take_news(fields), self._take_news(own or {})
        if new_own:
            self._status.update(own=new_own, **new_fields)
        elif new_fields:
            self._status.update(**new_fields)
        return bool(new_own or new_fields)

    def _take_news(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        news = {key: value for key, value in fields.items() if key not in self._shown or self._shown[key] != value}
        self._shown |= news
        return news
