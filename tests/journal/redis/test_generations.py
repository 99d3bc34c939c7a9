"""Each run of the server is a generation, so offsets of entries that it lost are recognized."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag_pipeline.journal.base import offset_of
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt, mark_of, read_generations
from rag_pipeline.journal.redis.keys import RedisKeys, position_of
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis

KEYS = RedisKeys()


def added(connection: RedisConnection) -> int:
    return position_of(connection.call("XADD", KEYS.events, "*", "a", 1))


def adopted(server: RedisServer) -> RedisConnection:
    """Return a new connection that has adopted the server's current run."""
    connection = server.connection()
    adopt(connection, KEYS)
    return connection


def test_one_run_of_the_server_is_one_generation_for_all(connection: RedisConnection, server: RedisServer) -> None:
    first = adopt(connection, KEYS)
    assert re.fullmatch("[0-9a-f]{16}", first.identity)
    other = server.connection()
    assert adopt(other, KEYS) == adopt(connection, KEYS) == first
    assert (
        connection.call("GET", KEYS.identity) == mark_of(connection, first.identity) == mark_of(other, first.identity)
    )
    other.close()


def test_a_server_restarted_without_loss_continues_the_journal(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        connection = server.connection()
        former = adopt(connection, KEYS)
        position = added(connection)
        connection.close()
        server.restart()
        assert connection.call("GET", KEYS.identity) != mark_of(connection, former.identity), (
            "a restart is noticed before anything is written"
        )
        generations = adopt(connection, KEYS)
        assert generations.former == {former.identity: position}
        assert adopt(connection, KEYS) == generations
        connection.close()


def test_offsets_of_events_that_a_server_lost_are_invalid(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--appendonly", "no") as server:
        connection = server.connection()
        former = adopt(connection, KEYS)
        kept = added(connection)
        connection.call("SAVE")
        lost = added(connection)
        connection.close()
        server.restart()
        connection = adopted(server)
        later = added(connection)
        generations = adopt(connection, KEYS)
        assert generations.position_of(offset_of(former.identity, kept)) == kept
        assert generations.position_of(offset_of(former.identity, lost)) is None
        assert generations.position_of(offset_of(generations.identity, later)) == later
        connection.close()


def test_an_emptied_server_has_no_former_generations(connection: RedisConnection) -> None:
    before = adopt(connection, KEYS)
    added(connection)
    connection.call("FLUSHALL")
    after = adopt(connection, KEYS)
    assert after.identity != before.identity
    assert after.former == {}


def test_a_journal_from_before_generations_keeps_its_offsets(connection: RedisConnection) -> None:
    connection.call("SET", KEYS.identity, "0123456789abcdef")
    position = added(connection)
    generations = adopt(connection, KEYS)
    assert generations.former == {"0123456789abcdef": position}
    assert adopt(connection, KEYS) == generations


def test_a_server_without_a_run_id_has_one_generation(connection: RedisConnection) -> None:
    connection.connect()
    connection._server_run = ""
    assert adopt(connection, KEYS) == adopt(connection, KEYS)


@pytest.mark.slow
def test_the_last_thousand_are_kept(connection: RedisConnection) -> None:
    connection.connect()
    for run in range(1003):
        connection._server_run = f"run{run}"
        generations = adopt(connection, KEYS)
    assert len(generations.former) == 999
    assert read_generations(connection.call("LRANGE", KEYS.generations, 0, -1)) == generations
