"""Who publishes a pipeline: one process at a time, for as long as it renews its lease."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import Link, RedisRefusedError, RedisUnavailableError
from rag_pipeline.journal.redis.generations import mark_of
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.journal.redis.scripts import CLAIM, RELEASE, RENEW, STALLED

LEASE_SECONDS = 30.0
HEARTBEAT_SECONDS = 30.0
HEARTBEAT_INTERVAL_SECONDS = 2.0
CLAIM_PATIENCE_SECONDS = 3 * HEARTBEAT_INTERVAL_SECONDS
"""How long another holder of a lease may be silent before it is taken for dead."""


class Word(StrEnum):
    """What the server says of a pipeline when a process writes to it, or asks for its lease or renews that."""

    OK = "ok"
    WRITTEN = "written"
    LOST = "lost"
    EXPIRED = "expired"
    BEHIND = "behind"
    TORN = "torn"
    BARE = "bare"
    BROKEN = "broken"
    HELD = "held"


class Verdict(NamedTuple):
    """The word on one pipeline.

    ``holder`` is whose it is if it is lost to someone known, or held; for a broken one it says why, for a torn one how
    many lines of the batch are done with. ``beat`` is the holder's last heartbeat.
    """

    word: Word
    holder: str
    beat: str = ""


class IdentityChangedError(RedisUnavailableError):
    """The journal in Redis has another identity than the one that is known: emptied, or Redis was started anew."""


class Holder:
    """One process (or one part of it) as a holder of leases: no state but its token, so any thread may use it."""

    def __init__(self, keys: Keys, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.token = secrets.token_hex(8)
        self._keys = keys
        self._name = f"{os.getpid()} {socket.gethostname()}"
        self._milliseconds = max(1, round(lease_seconds * 1000))

    def claim(self, link: Link, identity: str, *pipeline_ids: str) -> None:
        """Take the leases; JournalError names who has one, IdentityChangedError says that the journal is another."""
        answers = self.ask(link, identity, dict.fromkeys(pipeline_ids, ""))
        for pipeline_id, verdict in answers.items():
            if verdict.word is not Word.OK:
                raise refusal(link, pipeline_id, verdict)

    def ask(self, link: Link, identity: str, last_beats: Mapping[str, str]) -> dict[str, Verdict]:
        """Take those of the leases that can be had, all in one call; return of each: ok, held, or broken.

        ``last_beats`` has the heartbeat of another holder that is to be taken for its last one, or nothing. Such a
        holder has died, and its lease would stand for :data:`LEASE_SECONDS` in the way of the process that was started
        in its place.
        """
        ids = [part for item in last_beats.items() for part in item]
        keys = [self._keys.identity, self._keys.pipelines]
        answer = link.run(CLAIM, keys, (*self._arguments(link, identity), *ids))
        _raise_if_changed(link, answer)
        if answer[0] == "refused":
            raise unwritable(link, answer[1])
        verdicts = (Verdict(Word(word), *(rest or [""])) for word, *rest in answer[1])
        return dict(zip(last_beats, verdicts, strict=True))

    def _arguments(self, link: Link, identity: str) -> tuple[str | int, ...]:
        return self._keys.prefix, mark_of(link, identity), self.token, self._name, self._milliseconds

    def renew(self, link: Link, identity: str, expected: Mapping[str, int]) -> dict[str, Verdict]:
        """Renew the leases of these pipelines, which is their heartbeat too; return what the server says of each.

        ``expected`` has the number of the last batch that was confirmed for the pipeline.
        """
        ids = [part for item in expected.items() for part in item]
        answer = link.run(RENEW, [self._keys.identity, self._keys.pipelines], (*self._arguments(link, identity), *ids))
        _raise_if_changed(link, answer)
        return read_verdicts(list(expected), answer[1])

    def release(self, link: Link, *pipeline_ids: str) -> None:
        """Give up the leases, and mark the pipelines as closed in order; what another has is left alone."""
        if pipeline_ids:
            link.run(RELEASE, [], (self._keys.prefix, self.token, *pipeline_ids))


def stalled(link: Link, keys: Keys, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> list[str]:
    """Return the pipelines that were not closed and have not been heard of for so long, by the server's clock."""
    found: list[str] = link.run(STALLED, [keys.pipelines], [keys.prefix, round(heartbeat_seconds * 1000)])
    return found


def whose(owner: str) -> str:
    """Return who a lease's value stands for, as people read it."""
    parts = owner.split(" ", 2)
    return f"process {parts[1]} on host {parts[2]}" if len(parts) == 3 else "another process"


def unwritable(link: Link, why: str) -> RedisRefusedError:
    """Return the error for a server that would stop in the middle of what is to be written."""
    return RedisRefusedError(f"Redis at {link.address} can't be written to: {why}")


def refusal(link: Link, pipeline_id: str, verdict: Verdict) -> JournalError:
    """Return the error that says why a pipeline can't be had: another process has it, or its keys can't be used."""
    if verdict.word is Word.BROKEN:
        return RedisRefusedError(f"pipeline {pipeline_id!r} can't be kept in Redis at {link.address}: {verdict.holder}")
    return JournalError(f"pipeline {pipeline_id!r} is published by {whose(verdict.holder)} already")


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
