"""Claims of leases: all that a process waits for are requested together."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.lease import LeaseOwner, ScriptResult, ScriptStatus
from rag_pipeline.journal.redis.retry import REFUSED_SECONDS

POLL_SECONDS = 0.25
NEVER = float("inf")


class ClaimRequest:
    """A thread's request for pipeline ids; the thread waits here for the answers."""

    def __init__(self, pipeline_ids: Iterable[str]) -> None:
        self.pipeline_ids = tuple(dict.fromkeys(pipeline_ids))
        self.answers: dict[str, JournalError | None] = {}
        self.held: frozenset[str] = frozenset()
        self._tried = native.Future()
        self._decided = native.Future()

    def note(self, answers: dict[str, JournalError | None], pending: Iterable[str]) -> bool:
        """Note the answers so far (None: claimed); return whether every id has its answer."""
        for pipeline_id in self.pipeline_ids:
            if pipeline_id in answers and pipeline_id not in self.answers:
                self.answers[pipeline_id] = answers[pipeline_id]
        self.held = frozenset(self.pipeline_ids) - self.answers.keys()
        if self.held <= set(pending):
            self._tried.set()
        if not self.held:
            self._decided.set()
        return not self.held

    def fail(self, error: JournalError) -> None:
        """Answer every open id with the error."""
        self.note(dict.fromkeys(self.held or self.pipeline_ids, error), ())

    def wait_for_try(self, seconds: float) -> frozenset[str]:
        """Wait for the first try; return the ids that another process may still own. Raises the error of any other."""
        return self._wait(self._tried, seconds)

    def wait(self, seconds: float) -> None:
        """Wait until this process owns every id; raises the error of the first that it can't have."""
        self._wait(self._decided, seconds)

    def _wait(self, until: native.Future, seconds: float) -> frozenset[str]:
        if not until.wait(seconds):
            raise RedisUnavailableError("Redis did not answer in time who owns the pipelines")
        errors = [error for error in self.answers.values() if error is not None]
        # An error that names the owner says more than one that Redis can't be reached.
        for error in sorted(errors, key=lambda error: error.retryable):
            raise error
        return self.held


class _PendingClaim:
    def __init__(self, due: float) -> None:
        self.due = due
        self.heartbeat: str | None = None
        self.deadline = NEVER


class Claims:
    """Tries to claim pipelines until each is claimed or refused; belongs to the publisher's thread.

    If the other owner sends a heartbeat, the claim is refused. After ``patience_seconds`` without one that owner counts
    as dead. A pipeline whose keys can't be used is tried at long intervals.
    """

    def __init__(self, owner: LeaseOwner, connection: RedisConnection, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._owner = owner
        self._connection = connection
        self._pending: dict[str, _PendingClaim] = {}

    def __contains__(self, pipeline_id: str) -> bool:
        return pipeline_id in self._pending

    @property
    def due(self) -> float:
        """The monotonic time of the next try."""
        return min((claim.due for claim in self._pending.values()), default=NEVER)

    def add(self, pipeline_id: str, *, later: bool = False) -> None:
        """Try to claim the pipeline from now on, or after a long pause."""
        if later or pipeline_id not in self._pending:
            self._pending[pipeline_id] = _PendingClaim(time.monotonic() + (REFUSED_SECONDS if later else 0.0))

    def discard(self, pipeline_id: str) -> None:
        """Stop trying to claim the pipeline."""
        self._pending.pop(pipeline_id, None)

    def restart(self) -> None:
        """Forget what is known of other owners: the journal is another one."""
        self._pending = {pipeline_id: _PendingClaim(time.monotonic()) for pipeline_id in self._pending}

    def try_due(self, identity: str) -> dict[str, ScriptResult]:
        """Try all claims that are due; return those that are decided: ok, held or broken."""
        now = time.monotonic()
        # Those that are polled are tried together.
        due = {name: claim for name, claim in self._pending.items() if claim.due <= now + POLL_SECONDS / 2}
        if not due:
            return {}
        heartbeats = {name: claim.heartbeat or "" if now >= claim.deadline else "" for name, claim in due.items()}
        results = self._owner.claim(self._connection, identity, heartbeats)
        return {name: result for name, result in results.items() if self._decides(name, result, heartbeats[name], now)}

    def _decides(self, name: str, result: ScriptResult, last_heartbeat: str, now: float) -> bool:
        claim = self._pending[name]
        if result.status is ScriptStatus.BROKEN:
            self.add(name, later=True)
            return True
        if result.status is ScriptStatus.HELD and not last_heartbeat and self._patience > 0:
            if claim.heartbeat is None:
                claim.heartbeat, claim.deadline = result.heartbeat, now + self._patience
            if claim.heartbeat == result.heartbeat:
                claim.due = now + POLL_SECONDS if now >= claim.deadline else min(now + POLL_SECONDS, claim.deadline)
                return False
        self.discard(name)
        return True
