"""Who publishes a pipeline: one process at a time, for as long as it renews its lease."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from rag_pipeline import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis_generations import mark_of
from rag_pipeline.journal.redis_keys import Keys
from rag_pipeline.journal.redis_link import Link, RedisUnavailableError
from rag_pipeline.journal.redis_scripts import CLAIM, RELEASE, RENEW

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 30.0
CLAIM_PAUSE_SECONDS = 0.25
HEARTBEAT_INTERVAL_SECONDS = 2.0
CLAIM_PATIENCE_SECONDS = 3 * HEARTBEAT_INTERVAL_SECONDS
"""How long another holder of a lease may be silent before it is taken for dead."""


class Word(StrEnum):
    """What the server says of a pipeline when a process writes to it or renews its lease."""

    OK = "ok"
    WRITTEN = "written"
    LOST = "lost"
    EXPIRED = "expired"
    BEHIND = "behind"


class Verdict(NamedTuple):
    """The word on one pipeline; ``holder`` is whose it is if it was lost to someone known."""

    word: Word
    holder: str


class IdentityChangedError(RedisUnavailableError):
    """The journal in Redis has another identity than the one that is known: emptied, or Redis was started anew."""


class Holder:
    """One process (or one part of it) as a holder of leases: no state but its token, so any thread may use it."""

    def __init__(self, keys: Keys, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.token = secrets.token_hex(8)
        self._keys = keys
        self._name = f"{os.getpid()} {socket.gethostname()}"
        self._milliseconds = max(1, round(lease_seconds * 1000))

    def claim(self, link: Link, identity: str, pipeline_id: str, *, patience_seconds: float = 0.0) -> None:
        """Take the lease; JournalError names who has it, IdentityChangedError says that the journal is another.

        One whose holder gives no heartbeat for so long is taken over: it has died, and its lease would stand for
        :data:`LEASE_SECONDS` in the way of the process that was started in its place.
        """
        answer = self._claim(link, identity, pipeline_id)
        deadline, beat = time.monotonic() + patience_seconds, answer[-1]
        pause = native.Signal()
        while answer[0] == "held" and answer[2] == beat and patience_seconds > 0:
            last = time.monotonic() >= deadline
            answer = self._claim(link, identity, pipeline_id, beat if last else "")
            if last:
                break
            pause.wait(CLAIM_PAUSE_SECONDS)
        if answer[0] == "held":
            raise JournalError(f"pipeline {pipeline_id!r} is published by {whose(answer[1])} already")
        _raise_if_changed(link, answer)

    def _claim(self, link: Link, identity: str, pipeline_id: str, last_beat: str = "") -> list[str]:
        arguments = (*self._arguments(link, identity), pipeline_id, last_beat)
        answer: list[str] = link.run(CLAIM, [self._keys.identity], arguments)
        return answer

    def _arguments(self, link: Link, identity: str) -> tuple[str | int, ...]:
        return self._keys.prefix, mark_of(link, identity), self.token, self._name, self._milliseconds

    def renew(self, link: Link, identity: str, expected: Mapping[str, int]) -> dict[str, Verdict]:
        """Renew the leases of these pipelines, which is their heartbeat too; return what the server says of each.

        ``expected`` has the number of the last batch that was confirmed for the pipeline.
        """
        ids = [part for item in expected.items() for part in item]
        answer = link.run(RENEW, [self._keys.identity], (*self._arguments(link, identity), *ids))
        _raise_if_changed(link, answer)
        return read_verdicts(list(expected), answer[1])

    def release(self, link: Link, *pipeline_ids: str) -> None:
        """Give up the leases, and mark the pipelines as closed in order; what another has is left alone."""
        if pipeline_ids:
            link.run(RELEASE, [], (self._keys.prefix, self.token, *pipeline_ids))


def stalled(link: Link, keys: Keys, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> list[str]:
    """Return the pipelines that were not closed and have not been heard of for so long, by the server's clock."""
    seconds, microseconds = link.call("TIME")
    latest = int(seconds) * 1000 + int(microseconds) // 1000 - round(heartbeat_seconds * 1000)
    silent: list[str] = link.call("ZRANGE", keys.pipelines, "-inf", f"({latest}", "BYSCORE")
    if not silent:
        return []
    closed = link.call_all([("HGET", keys.pipeline(pipeline_id), "closed") for pipeline_id in silent])
    return [pipeline_id for pipeline_id, mark in zip(silent, closed, strict=True) if mark != "1"]


def whose(owner: str) -> str:
    """Return who a lease's value stands for, as people read it."""
    parts = owner.split(" ", 2)
    return f"process {parts[1]} on host {parts[2]}" if len(parts) == 3 else "another process"


def read_verdicts(pipeline_ids: list[str], flat: list[str]) -> dict[str, Verdict]:
    """Return the verdicts by pipeline from the words and holders in turn that a script returns."""
    verdicts = (Verdict(Word(word), holder) for word, holder in zip(flat[::2], flat[1::2], strict=True))
    return dict(zip(pipeline_ids, verdicts, strict=True))


def identity_changed(link: Link) -> IdentityChangedError:
    """Return the error; that Redis was only started anew is seen to by those who get it."""
    return IdentityChangedError(f"the journal in Redis at {link.address} was emptied")


def _raise_if_changed(link: Link, answer: list[str]) -> None:
    if answer[0] == "identity":
        raise identity_changed(link)
