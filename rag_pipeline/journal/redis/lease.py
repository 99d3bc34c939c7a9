"""Leases: one process publishes a pipeline at a time, for as long as it renews its lease."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import RedisConnection, RedisRefusedError, RedisUnavailableError
from rag_pipeline.journal.redis.generations import mark_of
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.scripts import CLAIM, RELEASE, RENEW, STALLED

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 30.0
HEARTBEAT_INTERVAL_SECONDS = 2.0
CLAIM_PATIENCE_SECONDS = 3 * HEARTBEAT_INTERVAL_SECONDS
"""Seconds without a heartbeat after which another owner counts as dead."""


class ScriptStatus(StrEnum):
    """The outcome for one pipeline of a script that claims or renews leases, or writes a batch."""

    OK = "ok"
    WRITTEN = "written"  # an earlier copy of the batch was written
    LOST = "lost"  # another process owns the pipeline
    EXPIRED = "expired"  # the lease has expired, and nobody has taken it
    BEHIND = "behind"  # the server has lost confirmed data
    TORN = "torn"  # an earlier copy of the batch was written in part
    BARE = "bare"  # renewed, but the pipeline's state is missing
    BROKEN = "broken"  # keys of the pipeline can't be used
    HELD = "held"  # another process has the lease


class ScriptResult(NamedTuple):
    """The status of one pipeline.

    ``detail`` is the other owner if the pipeline is held or lost, the reason if it is broken, and the number of items
    that were written if the batch is torn. ``heartbeat`` is the other owner's last one.
    """

    status: ScriptStatus
    detail: str
    heartbeat: str = ""


class IdentityChangedError(RedisUnavailableError):
    """The identity of the journal in Redis has changed: Redis was emptied or restarted."""


class LeaseOwner:
    """An owner of leases, usually a process; any thread may use it."""

    def __init__(self, keys: RedisKeys, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.token = secrets.token_hex(8)
        self._keys = keys
        self._name = f"{os.getpid()} {socket.gethostname()}"
        self._milliseconds = max(1, round(lease_seconds * 1000))

    def claim(
        self, connection: RedisConnection, identity: str, heartbeats: Mapping[str, str]
    ) -> dict[str, ScriptResult]:
        """Take the leases that are free, in one call; return ok, held or broken for each pipeline.

        ``heartbeats`` has for each pipeline "" or a heartbeat of another owner. If that is still its last one, the
        owner counts as dead: its lease would block the process that replaces it for up to :data:`LEASE_SECONDS`.
        Raises IdentityChangedError if the journal is another.
        """
        ids = [part for item in heartbeats.items() for part in item]
        keys = [self._keys.identity, self._keys.pipelines]
        answer = connection.run(CLAIM, keys, (*self._arguments(connection, identity), *ids))
        raise_unless_done(connection, answer)
        results = (ScriptResult(ScriptStatus(status), *(rest or [""])) for status, *rest in answer[1])
        return dict(zip(heartbeats, results, strict=True))

    def renew(self, connection: RedisConnection, identity: str, expected: Mapping[str, int]) -> dict[str, ScriptResult]:
        """Renew the leases of these pipelines, which is also their heartbeat; return the result of each.

        ``expected`` has for each pipeline the number of the last confirmed batch.
        """
        ids = [part for item in expected.items() for part in item]
        keys = [self._keys.identity, self._keys.pipelines]
        answer = connection.run(RENEW, keys, (*self._arguments(connection, identity), *ids))
        raise_unless_done(connection, answer)
        return read_results(list(expected), answer[1])

    def release(self, connection: RedisConnection, *pipeline_ids: str) -> None:
        """Give up the leases, and mark the pipelines as closed; leases of other owners are left alone."""
        if pipeline_ids:
            connection.run(RELEASE, [], (self._keys.prefix, self.token, *pipeline_ids))

    def _arguments(self, connection: RedisConnection, identity: str) -> tuple[str | int, ...]:
        return self._keys.prefix, mark_of(connection, identity), self.token, self._name, self._milliseconds


def stalled(connection: RedisConnection, keys: RedisKeys, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> list[str]:
    """Return the pipelines that were not closed and sent no heartbeat for this long, by the server's clock."""
    ids: list[str] = connection.run(STALLED, [keys.pipelines], [keys.prefix, round(heartbeat_seconds * 1000)])
    return ids


def describe_owner(lease: str) -> str:
    """Return the owner in a lease's value, in readable form."""
    parts = lease.split(" ", 2)
    return f"process {parts[1]} on host {parts[2]}" if len(parts) == 3 else "another process"


def claim_error(connection: RedisConnection, pipeline_id: str, result: ScriptResult) -> JournalError:
    """Return the error for a pipeline that can't be claimed: another process owns it, or its keys can't be used."""
    if result.status is ScriptStatus.BROKEN:
        return RedisRefusedError(
            f"pipeline {pipeline_id!r} can't be kept in Redis at {connection.address}: {result.detail}"
        )
    return JournalError(f"pipeline {pipeline_id!r} is published by {describe_owner(result.detail)} already")


def read_results(pipeline_ids: list[str], flat: list[str]) -> dict[str, ScriptResult]:
    """Return the results by pipeline from a script's list of alternating statuses and details."""
    results = (ScriptResult(ScriptStatus(status), detail) for status, detail in zip(flat[::2], flat[1::2], strict=True))
    return dict(zip(pipeline_ids, results, strict=True))


def raise_unless_done(connection: RedisConnection, answer: list[str]) -> None:
    """Raise the error of a script that did nothing: IdentityChangedError or RedisRefusedError."""
    if answer[0] == "identity":
        # The caller finds out whether Redis was only restarted.
        raise IdentityChangedError(f"the journal in Redis at {connection.address} was emptied")
    if answer[0] == "refused":
        raise RedisRefusedError(f"Redis at {connection.address} can't be written to: {answer[1]}")
