"""Each run of the server is a generation: what one that lost its last entries does not have is told by it."""

from __future__ import annotations

import re
from pathlib import Path

from rag_pipeline.journal.base import offset_of
from rag_pipeline.journal.redis.connection import Link
from rag_pipeline.journal.redis.generations import adopt, lineage_of, mark_of
from rag_pipeline.journal.redis.keys import Keys, position_of
from tests.journal.redis_server import RedisServer, needs_redis, running

pytestmark = needs_redis

KEYS = Keys()


def added(link: Link) -> int:
    return position_of(link.call("XADD", KEYS.events, "*", "a", 1))


def adopted(server: RedisServer) -> Link:
    """Return a link of a process of its own, for which the server is what it is now."""
    link = server.link()
    adopt(link, KEYS)
    return link


def test_one_run_of_the_server_is_one_generation_whoever_asks(link: Link, server: RedisServer) -> None:
    first = adopt(link, KEYS)
    assert re.fullmatch("[0-9a-f]{16}", first.identity)
    other = server.link()
    assert adopt(other, KEYS) == adopt(link, KEYS) == first
    assert link.call("GET", KEYS.identity) == mark_of(link, first.identity) == mark_of(other, first.identity)
    other.close()


def test_a_server_that_was_started_anew_with_all_it_had_is_gone_on_with(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        link = server.link()
        former = adopt(link, KEYS)
        position = added(link)
        link.close()
        server.restart()
        assert link.call("GET", KEYS.identity) != mark_of(link, former.identity), (
            "it is noticed before anything is written"
        )
        lineage = adopt(link, KEYS)
        assert lineage.former == {former.identity: position}
        assert adopt(link, KEYS) == lineage
        link.close()


def test_what_a_server_lost_is_not_taken_for_what_came_since(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--appendonly", "no") as server:
        link = server.link()
        former = adopt(link, KEYS)
        kept = added(link)
        link.call("SAVE")
        lost = added(link)
        link.close()
        server.restart()
        link = adopted(server)
        later = added(link)
        lineage = adopt(link, KEYS)
        assert lineage.position_of(offset_of(former.identity, kept)) == kept
        assert lineage.position_of(offset_of(former.identity, lost)) is None
        assert lineage.position_of(offset_of(lineage.identity, later)) == later
        link.close()


def test_an_emptied_server_knows_nothing_of_what_was(link: Link) -> None:
    before = adopt(link, KEYS)
    added(link)
    link.call("FLUSHALL")
    after = adopt(link, KEYS)
    assert after.identity != before.identity
    assert after.former == {}


def test_a_journal_from_before_there_were_generations_keeps_its_offsets(link: Link) -> None:
    link.call("SET", KEYS.identity, "0123456789abcdef")
    position = added(link)
    lineage = adopt(link, KEYS)
    assert lineage.former == {"0123456789abcdef": position}
    assert adopt(link, KEYS) == lineage


def test_a_server_that_does_not_say_which_run_it_is_has_one_generation(link: Link) -> None:
    link.connect()
    link._server_run = ""
    assert adopt(link, KEYS) == adopt(link, KEYS)


def test_the_last_thousand_are_kept(link: Link) -> None:
    link.connect()
    for run in range(1003):
        link._server_run = f"run{run}"
        lineage = adopt(link, KEYS)
    assert len(lineage.former) == 999
    assert lineage_of(link.call("LRANGE", KEYS.generations, 0, -1)) == lineage
