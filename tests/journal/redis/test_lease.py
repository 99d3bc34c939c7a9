from __future__ import annotations

import os
import socket

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import IdentityChangedError, LeaseOwner, ScriptStatus, stalled
from tests.journal.redis_appender import claim
from tests.journal.redis_server import needs_redis
from tests.support.waiting import wait_until

pytestmark = needs_redis

KEYS = RedisKeys()


@pytest.fixture
def identity(connection: RedisConnection) -> str:
    return adopt(connection, KEYS).identity


def test_a_second_owner_is_refused_with_the_name_of_the_first(connection: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    claim(first, connection, identity, "p")
    with pytest.raises(JournalError) as caught:
        claim(second, connection, identity, "p")
    message = f"pipeline 'p' is published by process {os.getpid()} on host {socket.gethostname()} already"
    assert str(caught.value) == message
    assert not caught.value.retryable
    claim(second, connection, identity, "q")


def test_an_owner_may_claim_its_pipeline_again(connection: RedisConnection, identity: str) -> None:
    owner = LeaseOwner(KEYS)
    claim(owner, connection, identity, "p")
    connection.call("HSET", KEYS.pipeline("p"), "batch", 5)
    claim(owner, connection, identity, "p")
    assert connection.call("HGET", KEYS.pipeline("p"), "batch") == "5"


def test_a_lease_expires_unless_it_is_renewed(connection: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS, lease_seconds=0.2), LeaseOwner(KEYS)
    claim(first, connection, identity, "p")

    def taken() -> bool:
        try:
            claim(second, connection, identity, "p")
        except JournalError:
            return False
        return True

    wait_until(taken, "the lease running out")
    result = first.renew(connection, identity, {"p": 0})["p"]
    assert result.status is ScriptStatus.LOST
    assert result.detail.startswith(second.token)
    assert connection.call("GET", KEYS.owner("p")).startswith(second.token)


def test_renewing_restores_an_expired_lease_that_nobody_took(connection: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    claim(first, connection, identity, "p")
    connection.call("DEL", KEYS.owner("p"))
    assert first.renew(connection, identity, {"p": 0})["p"].status is ScriptStatus.OK
    assert connection.call("PTTL", KEYS.owner("p")) > 25_000
    connection.call("DEL", KEYS.owner("p"))
    claim(second, connection, identity, "p")
    second.release(connection, "p")
    assert first.renew(connection, identity, {"p": 0})["p"].status is ScriptStatus.LOST


def test_renewing_reports_what_the_server_has_lost(connection: RedisConnection, identity: str) -> None:
    owner = LeaseOwner(KEYS)
    claim(owner, connection, identity, "p")
    assert owner.renew(connection, identity, {"p": 3})["p"].status is ScriptStatus.BEHIND
    connection.call("FLUSHALL")
    with pytest.raises(IdentityChangedError):
        owner.renew(connection, identity, {"p": 0})
    with pytest.raises(IdentityChangedError):
        claim(owner, connection, identity, "p")


def test_only_the_owner_can_release(connection: RedisConnection, identity: str) -> None:
    first, second = LeaseOwner(KEYS), LeaseOwner(KEYS)
    claim(first, connection, identity, "p")
    second.release(connection, "p")
    with pytest.raises(JournalError):
        claim(second, connection, identity, "p")
    first.release(connection, "p")
    claim(second, connection, identity, "p")


def test_a_silent_pipeline_is_stalled_and_a_closed_one_is_not(connection: RedisConnection, identity: str) -> None:
    owner = LeaseOwner(KEYS)
    for pipeline_id in ("silent", "closed", "alive"):
        claim(owner, connection, identity, pipeline_id)
    assert stalled(connection, KEYS) == []
    long_ago = int(connection.call("TIME")[0]) * 1000 - 31_000
    connection.call("ZADD", KEYS.pipelines, long_ago, "silent", long_ago, "closed")
    owner.release(connection, "closed")
    assert stalled(connection, KEYS) == ["silent"]
    assert stalled(connection, KEYS, heartbeat_seconds=60) == []
    owner.renew(connection, identity, {"silent": 0})
    assert stalled(connection, KEYS) == []


def test_a_closed_pipeline_that_is_claimed_again_can_stall(connection: RedisConnection, identity: str) -> None:
    owner = LeaseOwner(KEYS)
    claim(owner, connection, identity, "p")
    owner.release(connection, "p")
    claim(owner, connection, identity, "p")
    connection.call("ZADD", KEYS.pipelines, 0, "p")
    assert stalled(connection, KEYS) == ["p"]
