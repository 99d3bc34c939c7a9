from __future__ import annotations

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.claims import NEVER, ClaimRequest, Claims
from rag_pipeline.journal.redis.connection import RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner, ScriptResult, ScriptStatus, claim_error
from tests.journal.redis_appender import claim
from tests.journal.redis_server import needs_redis
from tests.support.waiting import wait_until

pytestmark = needs_redis

KEYS = RedisKeys()


class Claimant:
    """A process that claims pipelines of another, which may be dead."""

    def __init__(self, connection: RedisConnection, patience_seconds: float) -> None:
        self.connection = connection
        self.identity = adopt(connection, KEYS).identity
        self.other = LeaseOwner(KEYS)
        self.claims = Claims(LeaseOwner(KEYS), connection, patience_seconds)
        self.results: dict[str, ScriptResult] = {}

    def try_due(self) -> dict[str, ScriptStatus]:
        self.results |= self.claims.try_due(self.identity)
        return {name: result.status for name, result in self.results.items()}

    def decide(self, *names: str) -> dict[str, ScriptStatus]:
        wait_until(lambda: self.try_due().keys() >= set(names))
        return self.try_due()


def scripts_run(connection: RedisConnection) -> int:
    lines = connection.call("INFO", "commandstats").splitlines()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_evalsha:"))


def test_all_due_claims_are_one_call(connection: RedisConnection) -> None:
    claimant = Claimant(connection, 60.0)
    claim(claimant.other, connection, claimant.identity, "held")
    names = [f"p{n}" for n in range(20)]
    for name in (*names, "held"):
        claimant.claims.add(name)
    claimant.claims.try_due(claimant.identity)
    for name in names:
        claimant.claims.add(f"{name} again")
    before = scripts_run(connection)
    assert claimant.try_due() == {f"{name} again": ScriptStatus.OK for name in names}
    assert scripts_run(connection) == before + 1
    assert "held" in claimant.claims
    assert claimant.claims.due < NEVER


@pytest.mark.slow
def test_leases_of_dead_owners_are_taken_after_one_wait_and_those_of_live_owners_are_not(
    connection: RedisConnection,
) -> None:
    claimant = Claimant(connection, 0.6)
    live = LeaseOwner(KEYS)
    claim(claimant.other, connection, claimant.identity, "dead", "dead too")
    claim(live, connection, claimant.identity, "alive")
    for name in ("dead", "dead too", "alive"):
        claimant.claims.add(name)
    assert claimant.try_due() == {}
    before = connection.call("ZSCORE", KEYS.pipelines, "alive")
    # A heartbeat is a time in milliseconds. A second one in the same millisecond does not show.
    wait_until(
        lambda: (
            bool(live.renew(connection, claimant.identity, {"alive": 0}))
            and connection.call("ZSCORE", KEYS.pipelines, "alive") != before
        )
    )
    assert claimant.decide("dead", "dead too", "alive") == {
        "dead": ScriptStatus.OK,
        "dead too": ScriptStatus.OK,
        "alive": ScriptStatus.HELD,
    }
    error = claim_error(connection, "alive", claimant.results["alive"])
    assert str(error).startswith("pipeline 'alive' is published by process ")
    assert claimant.claims.due == NEVER


def test_an_owner_that_never_sent_a_heartbeat_counts_as_dead(connection: RedisConnection) -> None:
    claimant = Claimant(connection, 0.3)
    claim(claimant.other, connection, claimant.identity, "p")
    connection.call("ZREM", KEYS.pipelines, "p")
    claimant.claims.add("p")
    assert claimant.decide("p") == {"p": ScriptStatus.OK}


def test_a_pipeline_whose_keys_can_not_be_used_is_tried_later(connection: RedisConnection) -> None:
    claimant = Claimant(connection, 0.3)
    connection.call("SET", KEYS.files("p"), "x")
    claimant.claims.add("p")
    claimant.claims.add("q")
    assert claimant.try_due() == {"p": ScriptStatus.BROKEN, "q": ScriptStatus.OK}
    assert "rag:files:p is a string, not a hash" in claimant.results["p"].detail
    assert claimant.claims.try_due(claimant.identity) == {}
    claimant.claims.restart()
    connection.call("DEL", KEYS.files("p"))
    assert claimant.try_due()["p"] is ScriptStatus.OK


def test_a_waiting_thread_gets_its_answer_as_soon_as_it_is_known() -> None:
    request = ClaimRequest(["a", "b", "a"])
    assert request.pipeline_ids == ("a", "b")
    assert not request.note({"a": None, "other": None}, ["b"])
    assert request.wait_for_try(0) == {"b"}
    with pytest.raises(RedisUnavailableError, match="in time"):
        request.wait(0)
    assert request.note({"b": JournalError("b is published by another")}, [])
    with pytest.raises(JournalError, match="another"):
        request.wait(0)


def test_a_failed_request_raises_its_error_and_one_that_names_an_owner_first() -> None:
    request = ClaimRequest(["a", "b", "c"])
    request.note({"a": None, "b": JournalError("held")}, [])
    request.fail(RedisUnavailableError("Redis is away"))
    with pytest.raises(JournalError, match="held"):
        request.wait(0)
    away = ClaimRequest(["a"])
    away.fail(RedisUnavailableError("Redis is away"))
    with pytest.raises(RedisUnavailableError, match="away"):
        away.wait_for_try(0)
