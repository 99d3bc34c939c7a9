"""The scripts that only read; those for leases are tested by what they are used for, in ``test_redis_lease``."""

from __future__ import annotations

import pytest

from rag_pipeline.journal.redis.connection import Link, Script
from rag_pipeline.journal.redis.generations import adopt, mark_of
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import Keys, pairs
from rag_pipeline.journal.redis.scripts import FOLLOW, LOOK, SAVED
from tests.journal.driving import recorded
from tests.journal.redis_server import RedisServer, needs_redis

pytestmark = needs_redis

KEYS = Keys()
BYTES = 1 << 20
STREAM = [KEYS.events, KEYS.identity, KEYS.generations]
LOOKED_AT = [KEYS.events, KEYS.identity, KEYS.pipelines, KEYS.generations]


def test_a_server_that_has_nothing_is_read_as_empty(link: Link) -> None:
    nothing = {"length": 0, "entries-added": 0, "last-generated-id": "0-0"}
    mark, stream, here, found, generations = link.run(FOLLOW, STREAM, ["0-0", 10, BYTES, ""])
    assert (mark, pairs(stream), here, found, generations) == ("", nothing, 0, [], [])
    mark, stream, pipelines, generations = link.run(LOOK, LOOKED_AT, [KEYS.prefix])
    assert (mark, pairs(stream), pipelines, generations) == ("", nothing, [], [])
    assert link.run(SAVED, [KEYS.pipelines], [KEYS.prefix]) == []


def test_following_tells_whether_the_place_itself_is_still_there(link: Link) -> None:
    first, second, third = (link.call("XADD", KEYS.events, "*", "a", n) for n in range(3))
    _, stream, here, found, _ = link.run(FOLLOW, STREAM, [first, 1, BYTES, ""])
    assert (here, [entry_id for entry_id, _ in found]) == (1, [second])
    link.call("XTRIM", KEYS.events, "MAXLEN", 1)
    _, stream, here, found, _ = link.run(FOLLOW, STREAM, [second, 10, BYTES, ""])
    assert (here, [entry_id for entry_id, _ in found]) == (0, [third])
    known = pairs(stream)
    assert (known["length"], known["entries-added"], known["last-generated-id"]) == (1, 3, third)


def test_generations_are_told_to_those_who_know_another_one(link: Link) -> None:
    lineage = adopt(link, KEYS)
    mark = mark_of(link, lineage.identity)
    answers = [link.run(FOLLOW, STREAM, ["0-0", 1, BYTES, known]) for known in ("another", mark)]
    assert [(answer[0], answer[4]) for answer in answers] == [(mark, [f"{lineage.identity} 0-0"]), (mark, [])]
    assert link.run(LOOK, LOOKED_AT, [KEYS.prefix])[3] == [f"{lineage.identity} 0-0"]


def test_a_look_brings_the_last_status_and_what_came_after_it(link: Link, server: RedisServer) -> None:
    journal = RedisJournal(server.url)
    pipeline, recorder = recorded()
    pipeline.update(status="running")
    pipeline.add_processing_file("a")
    journal.append(recorder.changes)
    _, _, [[name, state, since]], _ = link.run(LOOK, LOOKED_AT, [KEYS.prefix])
    assert (name, pairs(state)["seq"]) == ("p", "1")
    assert [pairs(fields)["seq"] for _, fields in since] == ["2"]
    journal.close()


@pytest.mark.parametrize("script", [LOOK, FOLLOW, SAVED])
def test_reading_is_allowed_to_a_server_that_is_out_of_memory(link: Link, script: Script) -> None:
    arguments = ["0-0", "1", str(BYTES), ""] if script is FOLLOW else [KEYS.prefix]
    keys = {LOOK: LOOKED_AT, FOLLOW: STREAM, SAVED: [KEYS.pipelines]}[script]
    link.call("CONFIG", "SET", "maxmemory", "1")
    try:
        link.run(script, keys, arguments)
    finally:
        link.call("CONFIG", "SET", "maxmemory", "0")
