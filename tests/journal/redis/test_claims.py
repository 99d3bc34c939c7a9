from __future__ import annotations

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.claims import NEVER, ClaimRequest, Claims
from rag_pipeline.journal.redis.connection import RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.lease import LeaseOwner, ScriptResult, ScriptStatus
from tests.journal.redis_server import needs_redis
from tests.support.waiting import wait_until

pytestmark = needs_redis

KEYS = RedisKeys()


class Asking:
    """A process that asks, beside one that may live or be dead."""

    def __init__(self, link: RedisConnection, patience_seconds: float) -> None:
        self.link = link
        self.identity = adopt(link, KEYS).identity
        self.other = LeaseOwner(KEYS)
        self.claims = Claims(LeaseOwner(KEYS), link, patience_seconds)
        self.verdicts: dict[str, ScriptResult] = {}

    def look(self) -> dict[str, ScriptStatus]:
        self.verdicts |= self.claims.look(self.identity)
        return {name: verdict.word for name, verdict in self.verdicts.items()}

    def settle(self, *names: str) -> dict[str, ScriptStatus]:
        wait_until(lambda: self.look().keys() >= set(names))
        return self.look()


def scripts_run(link: RedisConnection) -> int:
    lines = link.call("INFO", "commandstats").splitlines()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_evalsha:"))


def test_all_are_asked_for_with_one_question(link: RedisConnection) -> None:
    asking = Asking(link, 60.0)
    asking.other.claim(link, asking.identity, "held")
    names = [f"p{n}" for n in range(20)]
    for name in (*names, "held"):
        asking.claims.add(name)
    asking.claims.look(asking.identity)
    for name in names:
        asking.claims.add(f"{name} again")
    before = scripts_run(link)
    assert asking.look() == {f"{name} again": ScriptStatus.OK for name in names}
    assert scripts_run(link) == before + 1
    assert "held" in asking.claims
    assert asking.claims.due < NEVER


def test_the_leases_of_the_dead_are_had_after_one_wait_and_those_of_the_living_are_not(link: RedisConnection) -> None:
    asking = Asking(link, 0.6)
    living = LeaseOwner(KEYS)
    asking.other.claim(link, asking.identity, "dead", "dead too")
    living.claim(link, asking.identity, "alive")
    for name in ("dead", "dead too", "alive"):
        asking.claims.add(name)
    assert asking.look() == {}
    before = link.call("ZSCORE", KEYS.pipelines, "alive")
    # A heartbeat is a time in milliseconds. A second one in the same millisecond does not show.
    wait_until(
        lambda: (
            bool(living.renew(link, asking.identity, {"alive": 0}))
            and link.call("ZSCORE", KEYS.pipelines, "alive") != before
        )
    )
    assert asking.settle("dead", "dead too", "alive") == {
        "dead": ScriptStatus.OK,
        "dead too": ScriptStatus.OK,
        "alive": ScriptStatus.HELD,
    }
    told = asking.claims.error("alive", asking.verdicts["alive"])
    assert str(told).startswith("pipeline 'alive' is published by process ")
    assert asking.claims.due == NEVER


def test_a_holder_that_never_gave_a_heartbeat_is_dead_too(link: RedisConnection) -> None:
    asking = Asking(link, 0.3)
    asking.other.claim(link, asking.identity, "p")
    link.call("ZREM", KEYS.pipelines, "p")
    asking.claims.add("p")
    assert asking.settle("p") == {"p": ScriptStatus.OK}


def test_a_pipeline_whose_keys_have_another_use_is_asked_for_later(link: RedisConnection) -> None:
    asking = Asking(link, 0.3)
    link.call("SET", KEYS.files("p"), "x")
    asking.claims.add("p")
    asking.claims.add("q")
    assert asking.look() == {"p": ScriptStatus.BROKEN, "q": ScriptStatus.OK}
    assert "rag:files:p is a string, not a hash" in asking.verdicts["p"].holder
    assert asking.claims.look(asking.identity) == {}
    asking.claims.begin_anew()
    link.call("DEL", KEYS.files("p"))
    assert asking.look()["p"] is ScriptStatus.OK


def test_who_waits_for_an_answer_gets_it_as_soon_as_it_is_known() -> None:
    request = ClaimRequest(["a", "b", "a"])
    assert request.pipeline_ids == ("a", "b")
    assert not request.note({"a": None, "other": None}, ["b"])
    assert request.wait_for_a_look(0) == {"b"}
    with pytest.raises(RedisUnavailableError, match="in time"):
        request.wait(0)
    assert request.note({"b": JournalError("b is published by another")}, [])
    with pytest.raises(JournalError, match="another"):
        request.wait(0)


def test_a_request_that_failed_tells_why_and_a_holder_first() -> None:
    request = ClaimRequest(["a", "b", "c"])
    request.note({"a": None, "b": JournalError("held")}, [])
    request.fail(RedisUnavailableError("Redis is away"))
    with pytest.raises(JournalError, match="held"):
        request.wait(0)
    away = ClaimRequest(["a"])
    away.fail(RedisUnavailableError("Redis is away"))
    with pytest.raises(RedisUnavailableError, match="away"):
        away.wait_for_a_look(0)
