from __future__ import annotations

import os
import socket

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import IdentityChangedError, LeaseOwner, ScriptStatus, stalled
from tests.journal.redis_server import needs_redis
from tests.support.waiting import wait_until

pytestmark = needs_redis

KEYS = RedisKeys()


@pytest.fixture
def identity(link: RedisConnection) -> str:
    return adopt(link, KEYS).identity


def test_a_second_holder_is_refused_with_the_name_of_the_first(link: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    first.claim(link, identity, "p")
    with pytest.raises(JournalError) as caught:
        second.claim(link, identity, "p")
    told = f"pipeline 'p' is published by process {os.getpid()} on host {socket.gethostname()} already"
    assert str(caught.value) == told
    assert not caught.value.retryable
    second.claim(link, identity, "q")


def test_a_holder_may_claim_again_what_it_has(link: RedisConnection, identity: str) -> None:
    holder = LeaseOwner(KEYS)
    holder.claim(link, identity, "p")
    link.call("HSET", KEYS.pipeline("p"), "batch", 5)
    holder.claim(link, identity, "p")
    assert link.call("HGET", KEYS.pipeline("p"), "batch") == "5"


def test_a_lease_runs_out_unless_it_is_renewed(link: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS, lease_seconds=0.2), LeaseOwner(KEYS)
    first.claim(link, identity, "p")

    def taken() -> bool:
        try:
            second.claim(link, identity, "p")
        except JournalError:
            return False
        return True

    wait_until(taken, "the lease running out")
    verdict = first.renew(link, identity, {"p": 0})["p"]
    assert verdict.word is ScriptStatus.LOST
    assert verdict.holder.startswith(second.token)
    assert link.call("GET", KEYS.owner("p")).startswith(second.token)


def test_renewing_takes_back_a_lease_that_ran_out_if_no_one_has_had_it_since(
    link: RedisConnection, identity: str
) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    first.claim(link, identity, "p")
    link.call("DEL", KEYS.owner("p"))
    assert first.renew(link, identity, {"p": 0})["p"].word is ScriptStatus.OK
    assert link.call("PTTL", KEYS.owner("p")) > 25_000
    link.call("DEL", KEYS.owner("p"))
    second.claim(link, identity, "p")
    second.release(link, "p")
    assert first.renew(link, identity, {"p": 0})["p"].word is ScriptStatus.LOST


def test_renewing_tells_what_the_server_has_forgotten(link: RedisConnection, identity: str) -> None:
    holder = LeaseOwner(KEYS)
    holder.claim(link, identity, "p")
    assert holder.renew(link, identity, {"p": 3})["p"].word is ScriptStatus.BEHIND
    link.call("FLUSHALL")
    with pytest.raises(IdentityChangedError):
        holder.renew(link, identity, {"p": 0})
    with pytest.raises(IdentityChangedError):
        holder.claim(link, identity, "p")


def test_only_the_holder_can_release(link: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    first.claim(link, identity, "p")
    second.release(link, "p")
    with pytest.raises(JournalError):
        second.claim(link, identity, "p")
    first.release(link, "p")
    second.claim(link, identity, "p")


def test_a_pipeline_that_fell_silent_is_stalled_and_one_that_was_closed_is_not(
    link: RedisConnection, identity: str
) -> None:
    holder = LeaseOwner(KEYS)
    for pipeline_id in ("silent", "closed", "alive"):
        holder.claim(link, identity, pipeline_id)
    assert stalled(link, KEYS) == []
    long_ago = int(link.call("TIME")[0]) * 1000 - 31_000
    link.call("ZADD", KEYS.pipelines, long_ago, "silent", long_ago, "closed")
    holder.release(link, "closed")
    assert stalled(link, KEYS) == ["silent"]
    assert stalled(link, KEYS, heartbeat_seconds=60) == []
    holder.renew(link, identity, {"silent": 0})
    assert stalled(link, KEYS) == []


def test_one_that_was_closed_and_is_claimed_again_can_stall_again(link: RedisConnection, identity: str) -> None:
    holder = LeaseOwner(KEYS)
    holder.claim(link, identity, "p")
    holder.release(link, "p")
    holder.claim(link, identity, "p")
    link.call("ZADD", KEYS.pipelines, 0, "p")
    assert stalled(link, KEYS) == ["p"]
