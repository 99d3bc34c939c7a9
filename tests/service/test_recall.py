"""What the service remembers: pages of events that neither skip nor repeat, and a live view that goes on from one."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.contract import events
from rag_pipeline.http_server.service_view import FollowerClosedError
from rag_pipeline.service.recall import Recall
from rag_pipeline.service.server import StatusServer
from rag_pipeline.status import PipelineStatus
from tests.socket_server.support import new_pipeline, serving, wait_until_live
from tests.support.http_get import get_json
from tests.support.waiting import wait_until


def recall_of(server: StatusServer) -> Recall:
    return server._shown._recall


def made(pipeline: PipelineStatus, server: StatusServer, count: int) -> None:
    for n in range(count):
        pipeline.skip_file(f"f{n}", "no text")
    wait_until(lambda: server._keeper.tail.newest >= count)


def test_pages_follow_each_other() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        made(pipeline, server, 10)
        recall = recall_of(server)
        seen: list[str] = []
        since: str | None = None
        for _ in range(4):
            page = recall.events(since, events.NS_PIPELINE, 3)
            assert page.recovered
            seen += [item.offset for item in page.items]
            since = page.next
            assert page.more is (len(seen) < 10)
        assert len(set(seen)) == 10
        assert since == recall.offset_of(10)
        assert recall.events(since, events.NS_PIPELINE, 3).items == []


def test_of_the_statuses_of_a_pipeline_the_newest_alone_is_given_in_its_place() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        for n in range(30):
            pipeline.update(own={"n": n})
            if n % 10 == 0:
                pipeline.skip_file(f"f{n}", "no text")
        wait_until(lambda: server._keeper.tail.newest >= 33)
        recall = recall_of(server)
        page = recall.events(None, events.NS_PIPELINE, 100)
        told = [(item.name, json.loads(item.text)["seq"]) for item in page.items]
        skipped = [(events.FILE_SKIPPED, seq) for seq in (2, 13, 24)]
        assert told == [*skipped, (events.STATUS, 33)]
        assert (page.next, page.more) == (recall.offset_of(33), False)
        first = recall.events(None, events.NS_PIPELINE, 1)
        rest = recall.events(first.next, events.NS_PIPELINE, 100)
        assert [*first.items, *rest.items] == page.items


def test_a_page_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.service.recall.MAX_PAGE_BYTES", 1 << 15)
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        for n in range(20):
            pipeline.complete_file(f"f{n}", result="x" * 10_000)
        wait_until(lambda: server._keeper.tail.newest >= 20)
        since: str | None = None
        seen: list[int] = []
        while True:
            page = recall_of(server).events(since, events.NS_PIPELINE, 100)
            assert 0 < sum(len(item.text) for item in page.items) < 1 << 16
            seen += [json.loads(item.text)["seq"] for item in page.items]
            since = page.next
            if not page.more:
                break
        assert seen == list(range(1, 21))


def test_an_offset_of_another_journal_gives_the_oldest() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        made(pipeline, server, 2)
        page = recall_of(server).events("0123456789abcdef-1", events.NS_PIPELINE, 10)
        assert (len(page.items), page.recovered) == (2, False)
        assert recall_of(server).position_of("0123456789abcdef-1") is None


def test_a_page_of_a_namespace_without_events_ends_where_it_looked() -> None:
    pipeline = new_pipeline("other")
    with serving(pipeline) as server:
        made(pipeline, server, 5)
        page = recall_of(server).events(None, events.NS_LOCAL_FILES, 10)
        assert (page.items, page.next, page.more) == ([], recall_of(server).offset_of(5), False)


def test_a_follower_gets_the_state_and_what_comes_and_ends_with_the_service() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        follower = recall_of(server).follow(events.NS_PIPELINE, None)
        first = follower.next(30)
        pipeline.update(own={"n": 1})
        second = follower.next(30)
        assert [item.name for item in (*first, *second)] == [events.STATUS] * 2
        follower.close()
        with pytest.raises(FollowerClosedError):
            follower.next(30)


def test_a_follower_that_does_not_keep_up_is_counted_with_the_clients_that_were_dropped() -> None:
    pipeline = new_pipeline()
    with serving(pipeline, backlog_limit_bytes=1 << 16) as server:
        follower = recall_of(server).follow(events.NS_PIPELINE, None)
        assert follower.next(30)
        wait_until_live(server, 1)
        for _ in range(3):
            pipeline.update(own={"text": "x" * 50_000})
        wait_until(lambda: get_json(server.http_port, "/health").body["clients_dropped"] == 1)
        with pytest.raises(FollowerClosedError):
            follower.next(30)
