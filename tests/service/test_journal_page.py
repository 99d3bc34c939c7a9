"""Pages of events neither skip nor repeat an event."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.contract import events
from rag_pipeline.journal import offset_of
from rag_pipeline.service import StatusServer
from rag_pipeline.service.full_view import FullView
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import new_pipeline, serving
from tests.support.waiting import wait_until


def view_of(server: StatusServer) -> FullView:
    return server._view


def offset(server: StatusServer, position: int) -> str:
    return offset_of(server._view.generations.identity, position)


def publish(pipeline: PipelineStatus, server: StatusServer, count: int) -> None:
    for n in range(count):
        pipeline.skip_file(f"f{n}", "no text")
    wait_until(lambda: server._backend.tail.newest >= count)


def test_pages_follow_each_other() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        publish(pipeline, server, 10)
        view = view_of(server)
        seen: list[str] = []
        since: str | None = None
        for _ in range(4):
            page = view.events(since, events.NS_PIPELINE, 3)
            assert page.recovered
            seen += [packet.offset for packet in page.events]
            since = page.next
            assert page.more is (len(seen) < 10)
        assert len(set(seen)) == 10
        assert since == offset(server, 10)
        assert view.events(since, events.NS_PIPELINE, 3).events == []


def test_a_page_has_only_the_newest_status_of_a_pipeline() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        for n in range(30):
            pipeline.update(own={"n": n})
            if n % 10 == 0:
                pipeline.skip_file(f"f{n}", "no text")
        wait_until(lambda: server._backend.tail.newest >= 33)
        view = view_of(server)
        page = view.events(None, events.NS_PIPELINE, 100)
        found = [(packet.name, json.loads(packet.text)["seq"]) for packet in page.events]
        skipped = [(events.FILE_SKIPPED, seq) for seq in (2, 13, 24)]
        assert found == [*skipped, (events.STATUS, 33)]
        assert (page.next, page.more) == (offset(server, 33), False)
        first = view.events(None, events.NS_PIPELINE, 1)
        rest = view.events(first.next, events.NS_PIPELINE, 100)
        assert [*first.events, *rest.events] == page.events


def test_a_page_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_pipeline.service.journal_page.MAX_PAGE_BYTES", 1 << 15)
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        for n in range(20):
            pipeline.complete_file(f"f{n}", result="x" * 10_000)
        wait_until(lambda: server._backend.tail.newest >= 20)
        since: str | None = None
        seen: list[int] = []
        while True:
            page = view_of(server).events(since, events.NS_PIPELINE, 100)
            assert 0 < sum(len(packet.text) for packet in page.events) < 1 << 16
            seen += [json.loads(packet.text)["seq"] for packet in page.events]
            since = page.next
            if not page.more:
                break
        assert seen == list(range(1, 21))


def test_an_offset_of_another_journal_returns_the_oldest_events() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        publish(pipeline, server, 2)
        page = view_of(server).events("0123456789abcdef-1", events.NS_PIPELINE, 10)
        assert (len(page.events), page.recovered) == (2, False)
        assert view_of(server).generations.position_of("0123456789abcdef-1") is None


def test_an_empty_page_ends_at_the_newest_position() -> None:
    pipeline = new_pipeline("other")
    with serving(pipeline) as server:
        publish(pipeline, server, 5)
        page = view_of(server).events(None, events.NS_LOCAL_FILES, 10)
        assert (page.events, page.next, page.more) == ([], offset(server, 5), False)
