"""Claims: the leases that a process waits for, all of them with one question and one wait."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.backoff import REFUSED_SECONDS
from rag_pipeline.journal.redis.connection import Link, RedisUnavailableError
from rag_pipeline.journal.redis.lease import Holder, Verdict, Word, refusal

LOOK_SECONDS = 0.25
NEVER = float("inf")


class ClaimRequest:
    """Ids that a thread asks the publisher for; it waits here for the answers."""

    def __init__(self, pipeline_ids: Iterable[str]) -> None:
        self.pipeline_ids = tuple(dict.fromkeys(pipeline_ids))
        self.answers: dict[str, JournalError | None] = {}
        self.held: frozenset[str] = frozenset()
        self._looked = native.Future()
        self._settled = native.Future()

    def note(self, answers: dict[str, JournalError | None], pending: Iterable[str]) -> bool:
        """Take in what is known; return whether every id has its answer."""
        for pipeline_id in self.pipeline_ids:
            if pipeline_id in answers and pipeline_id not in self.answers:
                self.answers[pipeline_id] = answers[pipeline_id]
        self.held = frozenset(self.pipeline_ids) - self.answers.keys()
        if self.held <= set(pending):
            self._looked.set()
        if not self.held:
            self._settled.set()
        return not self.held

    def fail(self, error: JournalError) -> None:
        """Answer every open question with the error."""
        self.note(dict.fromkeys(self.held or self.pipeline_ids, error), ())

    def wait_for_a_look(self, seconds: float) -> frozenset[str]:
        """Return the ids that another process may still have, once Redis was asked; raises the error of any other."""
        return self._wait(self._looked, seconds)

    def wait(self, seconds: float) -> None:
        """Return once each id is this process's; raises the error of the first that is not."""
        self._wait(self._settled, seconds)

    def _wait(self, until: native.Future, seconds: float) -> frozenset[str]:
        if not until.wait(seconds):
            raise RedisUnavailableError("Redis has not said in time whose the pipelines are")
        errors = [error for error in self.answers.values() if error is not None]
        # One that says who has the id is worth more than that Redis could not be asked about another.
        for error in sorted(errors, key=lambda error: error.retryable):
            raise error
        return self.held


class _Pending:
    def __init__(self, due: float) -> None:
        self.due = due
        self.beat: str | None = None
        self.deadline = NEVER


class Claims:
    """Asks for the ids again and again until each is had or refused; belongs to the publisher's thread.

    A live holder gives heartbeats: if one comes, the id is refused. After ``patience_seconds`` without one the holder
    is taken for dead. An id whose keys can't be used is asked for at long intervals.
    """

    def __init__(self, holder: Holder, link: Link, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._holder = holder
        self._link = link
        self._pending: dict[str, _Pending] = {}

    def __contains__(self, pipeline_id: str) -> bool:
        return pipeline_id in self._pending

    @property
    def due(self) -> float:
        """When the next look is due, in monotonic seconds."""
        return min((pending.due for pending in self._pending.values()), default=NEVER)

    def add(self, pipeline_id: str, *, later: bool = False) -> None:
        """Ask for the id from now on, or after a long pause."""
        if later or pipeline_id not in self._pending:
            self._pending[pipeline_id] = _Pending(time.monotonic() + (REFUSED_SECONDS if later else 0.0))

    def discard(self, pipeline_id: str) -> None:
        """Ask for the id no more."""
        self._pending.pop(pipeline_id, None)

    def begin_anew(self) -> None:
        """Forget what is known of other holders: the journal is another one."""
        self._pending = {pipeline_id: _Pending(time.monotonic()) for pipeline_id in self._pending}

    def look(self, identity: str) -> dict[str, Verdict]:
        """Ask for all that are due; return the verdicts on those that need no further wait: ok, held, or broken."""
        now = time.monotonic()
        # Those that are asked for over and over are asked for together.
        asked = {name: one for name, one in self._pending.items() if one.due <= now + LOOK_SECONDS / 2}
        if not asked:
            return {}
        last = {name: one.beat or "" if now >= one.deadline else "" for name, one in asked.items()}
        verdicts = self._holder.ask(self._link, identity, last)
        return {name: verdict for name, verdict in verdicts.items() if self._settles(name, verdict, last[name], now)}

    def error(self, pipeline_id: str, verdict: Verdict) -> JournalError | None:
        """Return what is wrong with the id by the verdict; None if it was had."""
        return None if verdict.word is Word.OK else refusal(self._link, pipeline_id, verdict)

    def _settles(self, name: str, verdict: Verdict, last_beat: str, now: float) -> bool:
        pending = self._pending[name]
        if verdict.word is Word.BROKEN:
            self.add(name, later=True)
            return True
        is_first = pending.beat is None
        if verdict.word is Word.HELD and not last_beat and self.patience_seconds > 0:
            if is_first:
                pending.beat, pending.deadline = verdict.beat, now + self.patience_seconds
            if pending.beat == verdict.beat:
                pending.due = (
                    min(now + LOOK_SECONDS, pending.deadline) if now < pending.deadline else now + LOOK_SECONDS
                )
                return False
        self.discard(name)
        return True
