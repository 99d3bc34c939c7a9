"""The scripts that only read. Those for leases are tested in ``test_lease``."""

from __future__ import annotations

import pytest

from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.generations import adopt, mark_of
from rag_pipeline.journal.redis.keys import RedisKeys, pairs
from rag_pipeline.journal.redis.scripts import FOLLOW, SAVED_STATES, SNAPSHOT, Script
from tests.journal.driving import recorded
from tests.journal.redis_appender import RedisAppender
from tests.journal.redis_server import RedisServer, needs_redis

pytestmark = needs_redis

KEYS = RedisKeys()
BYTES = 1 << 20
STREAM = [KEYS.events, KEYS.identity, KEYS.generations]
LOOKED_AT = [KEYS.events, KEYS.identity, KEYS.pipelines, KEYS.generations]


def test_an_empty_server_is_read_as_empty(connection: RedisConnection) -> None:
    nothing = {"length": 0, "entries-added": 0, "last-generated-id": "0-0"}
    mark, stream, here, found, generations = connection.run(FOLLOW, STREAM, ["0-0", 10, BYTES, ""])
    assert (mark, pairs(stream), here, found, generations) == ("", nothing, 0, [], [])
    mark, stream, pipelines, generations = connection.run(SNAPSHOT, LOOKED_AT, [KEYS.prefix])
    assert (mark, pairs(stream), pipelines, generations) == ("", nothing, [], [])
    assert connection.run(SAVED_STATES, [KEYS.pipelines], [KEYS.prefix]) == []


def test_following_tells_whether_the_cursors_entry_still_exists(connection: RedisConnection) -> None:
    first, second, third = (connection.call("XADD", KEYS.events, "*", "a", n) for n in range(3))
    _, stream, here, found, _ = connection.run(FOLLOW, STREAM, [first, 1, BYTES, ""])
    assert (here, [entry_id for entry_id, _ in found]) == (1, [second])
    connection.call("XTRIM", KEYS.events, "MAXLEN", 1)
    _, stream, here, found, _ = connection.run(FOLLOW, STREAM, [second, 10, BYTES, ""])
    assert (here, [entry_id for entry_id, _ in found]) == (0, [third])
    known = pairs(stream)
    assert (known["length"], known["entries-added"], known["last-generated-id"]) == (1, 3, third)


def test_generations_are_returned_if_the_identity_differs(connection: RedisConnection) -> None:
    generations = adopt(connection, KEYS)
    mark = mark_of(connection, generations.identity)
    answers = [connection.run(FOLLOW, STREAM, ["0-0", 1, BYTES, known]) for known in ("another", mark)]
    assert [(answer[0], answer[4]) for answer in answers] == [(mark, [f"{generations.identity} 0-0"]), (mark, [])]
    assert connection.run(SNAPSHOT, LOOKED_AT, [KEYS.prefix])[3] == [f"{generations.identity} 0-0"]


def test_a_snapshot_has_the_last_status_and_the_entries_after_it(
    connection: RedisConnection, server: RedisServer
) -> None:
    journal = RedisAppender(server.url)
    pipeline, recorder = recorded()
    pipeline.update(status="running")
    pipeline.add_processing_file("a")
    journal.append(recorder.changes)
    _, _, [[name, state, since]], _ = connection.run(SNAPSHOT, LOOKED_AT, [KEYS.prefix])
    assert (name, pairs(state)["seq"]) == ("p", "1")
    assert [pairs(fields)["seq"] for _, fields in since] == ["2"]
    journal.close()


@pytest.mark.parametrize("script", [SNAPSHOT, FOLLOW, SAVED_STATES])
def test_a_server_out_of_memory_allows_reading(connection: RedisConnection, script: Script) -> None:
    arguments = ["0-0", "1", str(BYTES), ""] if script is FOLLOW else [KEYS.prefix]
    keys = {SNAPSHOT: LOOKED_AT, FOLLOW: STREAM, SAVED_STATES: [KEYS.pipelines]}[script]
    connection.call("CONFIG", "SET", "maxmemory", "1")
    try:
        connection.run(script, keys, arguments)
    finally:
        connection.call("CONFIG", "SET", "maxmemory", "0")
