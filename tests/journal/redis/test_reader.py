from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal import Entry
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.reader import RedisReader
from tests.journal.cut_proxy import proxy_to
from tests.journal.driving import recorded
from tests.journal.redis.test_journal import event, events, status
from tests.journal.redis_appender import RedisAppender
from tests.journal.redis_server import Follower, RedisServer, following, needs_redis, running
from tests.support.waiting import wait_until

pytestmark = needs_redis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "data") as started:
        yield started


@pytest.fixture
def journal(server: RedisServer) -> Iterator[RedisAppender]:
    opened = RedisAppender(server.url)
    yield opened
    opened.close()


def test_only_entries_after_the_start_are_delivered(server: RedisServer, journal: RedisAppender) -> None:
    journal.append([*events(1, 3), status(3)])
    with following(server.url) as follower:
        kept = journal.append([event(4), event(4, numbered=False), event(5)])
        wait_until(lambda: len(follower.entries) == 3)
        assert [e.position for e in follower.entries] == [e.position for e in kept]
        assert [e.event.numbered for e in follower.entries] == [True, False, True]
        assert follower.gaps == 0


def test_more_entries_than_one_read_are_delivered_once_and_in_order(
    server: RedisServer, journal: RedisAppender
) -> None:
    with following(server.url) as follower:
        for start in range(1, 3001, 500):
            journal.append(events(start, start + 499))
        wait_until(lambda: len(follower.entries) >= 3000)
        assert follower.seqs("p") == list(range(1, 3001))


def test_the_snapshot_has_each_pipelines_last_status_and_all_later_entries(
    server: RedisServer, journal: RedisAppender
) -> None:
    for name in ("a", "b"):
        pipeline, recorder = recorded(name)
        pipeline.update(status="running")
        pipeline.add_processing_file("one")
        pipeline.complete_file("one")
        journal.append(recorder.changes)
    with following(server.url) as follower:
        snapshot = follower.snapshot
        assert snapshot.generations == journal.generations
        assert snapshot.position == journal.newest
        shown = [(e.event.pipeline_id, e.event.seq, e.event.numbered) for e in snapshot.entries]
        one = [("seq", 1, False), ("seq", 2, True), ("seq", 3, True)]
        assert shown == [(name, seq, numbered) for name in ("a", "b") for _, seq, numbered in one]
        assert snapshot.entries[0].event.payload()["status"] == "running"


def test_following_continues_after_the_last_entry_when_the_server_was_killed(
    server: RedisServer, journal: RedisAppender
) -> None:
    with following(server.url) as follower:
        journal.append(events(1, 10))
        wait_until(lambda: len(follower.entries) == 10)
        server.kill()
        wait_until(lambda: follower.reader.degraded)
        server.start()
        journal.append(events(11, 20))
        wait_until(lambda: len(follower.entries) >= 20)
        assert follower.seqs("p") == list(range(1, 21))
        assert follower.gaps == 0
        wait_until(lambda: follower.reader.degraded is None)
        # The restart is reported, because offsets need the new generation.
        assert follower.later_generations == [journal.generations]


def test_a_broken_connection_loses_and_repeats_nothing(
    server: RedisServer, journal: RedisAppender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.retry.FIRST_SECONDS", 0.01)
    with proxy_to(server.port) as proxy, following(server.url_by(proxy.port)) as follower:
        pieces = count(1)
        proxy.on_answer = lambda piece: len(piece) // 2 if next(pieces) % 7 == 0 and proxy.cuts < 10 else None
        done = 0
        while proxy.cuts < 10 or done < 400:
            journal.append(events(done + 1, done + 40))
            done += 40
            wait_until(lambda: len(follower.entries) >= done)  # noqa: B023 - waited for right here
        assert follower.seqs("p") == list(range(1, done + 1))
        assert follower.gaps == 0


def test_an_emptied_server_is_a_gap_and_following_continues(server: RedisServer, journal: RedisAppender) -> None:
    with following(server.url) as follower:
        journal.append(events(1, 3))
        wait_until(lambda: len(follower.entries) == 3)
        before = follower.snapshot.generations
        journal.close()
        server.restart(empty=True)
        wait_until(lambda: follower.gaps == 1)
        assert follower.snapshot.generations != before
        again = RedisAppender(server.url)
        again.append([*events(7, 9), status(9), *events(10, 11)])
        wait_until(lambda: len(follower.since_gap) >= 3)
        # Events that the status includes are not delivered as well.
        assert [(e.event.seq, e.event.payload().get("gap")) for e in follower.since_gap] == [
            (9, True), (10, None), (11, None),
        ]  # fmt: skip
        assert follower.gaps == 1
        again.close()


@pytest.mark.slow
def test_a_changed_identity_is_a_gap_whatever_the_stream_looks_like(
    server: RedisServer, journal: RedisAppender
) -> None:
    with following(server.url) as follower:
        journal.append(events(1, 3))
        wait_until(lambda: len(follower.entries) == 3)
        connection = server.connection()
        connection.call("SET", RedisKeys().identity, "0123456789abcdef")
        wait_until(lambda: follower.gaps == 1)
        after = follower.snapshot.generations
        assert list(after.former) == ["0123456789abcdef"]
        connection.close()


def test_entries_trimmed_before_they_were_read_are_a_gap(server: RedisServer, journal: RedisAppender) -> None:
    with proxy_to(server.port) as proxy, following(server.url_by(proxy.port)) as follower:
        journal.append(events(1, 3))
        wait_until(lambda: len(follower.entries) == 3)
        proxy.cut()
        wait_until(lambda: follower.reader.degraded)
        journal.append(events(4, 9))
        connection = server.connection()
        connection.call("XTRIM", RedisKeys().events, "MAXLEN", 2)
        proxy.mend()
        wait_until(lambda: follower.gaps == 1)
        assert follower.seqs("p") == [1, 2, 3]
        connection.close()


def test_entries_trimmed_after_they_were_read_are_no_gap(server: RedisServer, journal: RedisAppender) -> None:
    with proxy_to(server.port) as proxy, following(server.url_by(proxy.port)) as follower:
        journal.append(events(1, 3))
        wait_until(lambda: len(follower.entries) == 3)
        proxy.cut()
        wait_until(lambda: follower.reader.degraded)
        journal.append(events(4, 9))
        connection = server.connection()
        connection.call("XTRIM", RedisKeys().events, "MAXLEN", 6)  # exactly the entries that were read
        proxy.mend()
        wait_until(lambda: len(follower.entries) >= 9)
        assert follower.seqs("p") == list(range(1, 10))
        assert follower.gaps == 0
        connection.close()


def test_a_server_restored_from_an_older_file_is_a_gap(tmp_path: Path) -> None:
    with running(tmp_path / "older", "--appendonly", "no") as server:
        journal = RedisAppender(server.url)
        with following(server.url) as follower:
            journal.append(events(1, 3))
            connection = server.connection()
            connection.call("SAVE")
            connection.close()
            journal.append(events(4, 6))
            wait_until(lambda: len(follower.entries) == 6)
            server.restart()
            wait_until(lambda: follower.gaps == 1)
        journal.close()


def test_a_server_unreachable_at_the_start_is_a_gap_when_it_comes(server: RedisServer) -> None:
    server.kill()
    with following(server.url) as follower:
        assert "Connection refused" in str(follower.reader.degraded)
        assert follower.reader.snapshot is None
        server.start()
        wait_until(lambda: follower.gaps == 1)
        assert follower.reader.degraded is None
        assert follower.reader.snapshot is not None


def test_an_unsuitable_server_stops_the_start() -> None:
    with pytest.raises(JournalError, match=r"^the Redis URL"):
        Follower("redis://")


def test_a_failed_delivery_does_not_stop_the_reader_and_shows_as_a_gap(
    server: RedisServer, journal: RedisAppender, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    gaps: list[int] = []

    def fail_once(entries: list[Entry]) -> None:
        seen.extend(entry.event.seq for entry in entries)
        if len(seen) == 1:
            raise ZeroDivisionError

    journal.append([status(0)])
    reader = RedisReader(server.url, fail_once, lambda: gaps.append(len(seen))).start()
    journal.append([event(1)])
    wait_until(lambda: gaps == [1])
    journal.append([event(2)])
    wait_until(lambda: len(seen) >= 2)
    assert reader.stop()
    assert seen == [1, 2]
    assert "ZeroDivisionError" in caplog.text


def test_stopping_does_not_wait_for_the_block_to_end(server: RedisServer) -> None:
    follower = Follower(server.url, timeout_seconds=3600)
    follower.reader._block = 3_600_000
    follower.reader.start()
    assert follower.reader.stop()
    assert follower.reader.stop()


def test_reads_are_limited_by_bytes(
    server: RedisServer, journal: RedisAppender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis.reader.READ_BYTES", 3000)
    monkeypatch.setattr("rag_pipeline.journal.redis.journal._READ_BYTES", 3000)
    seen: list[int] = []
    with proxy_to(server.port) as proxy:
        reader = RedisReader(server.url_by(proxy.port), lambda some: seen.append(len(some)), lambda: None).start()
        proxy.cut()
        wait_until(lambda: reader.degraded)
        journal.append([status(0), *events(1, 100)])
        proxy.mend()
        wait_until(lambda: sum(seen) == 101)
        assert reader.stop()
    assert max(seen) < 10
    assert [entry.event.seq for entry in journal.read(0, 1000)] == list(range(1, 101))
