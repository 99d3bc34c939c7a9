"""The publisher against a real server; what happens to that is in ``test_redis_outages``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis_keys import Keys
from rag_pipeline.journal.redis_publisher import RedisPublisher
from rag_pipeline.journal.redis_streams import RedisJournal
from rag_pipeline.status import PipelineStatus, core_of
from tests.journal.driving import assert_saved
from tests.journal.redis_server import RedisServer, following, needs_redis, publishing, running
from tests.live import native_threads, wait_until

pytestmark = needs_redis

names = (f"publisher-{n}" for n in count())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis") / "data") as started:
        yield started


@pytest.fixture
def prefix(server: RedisServer) -> str:
    return next(names)


@pytest.fixture
def journal(server: RedisServer, prefix: str) -> Iterator[RedisJournal]:
    opened = RedisJournal(server.url, prefix=prefix)
    yield opened
    opened.close()


@pytest.fixture
def pipeline() -> PipelineStatus:
    return PipelineStatus("local_files", next(names))


def test_what_a_pipeline_publishes_gets_to_the_journal(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus
) -> None:
    with publishing(server.url, pipeline, prefix=prefix):
        pipeline.update(status="running")
        pipeline.add_processing_file("a")
        pipeline.complete_file("a")
        wait_until(lambda: len(journal.read(0, 10)) == 3)
    assert_saved(journal.saved()[pipeline.pipeline_id], pipeline)


def test_what_was_held_back_goes_out_without_any_other_server(
    server: RedisServer, prefix: str, pipeline: PipelineStatus
) -> None:
    with publishing(server.url, pipeline, prefix=prefix), following(server.url, prefix=prefix) as follower:
        pipeline.add_processing_file("a")
        for n in range(1, 6):
            pipeline.file_progress("a", "reading", n / 5)

        def shown() -> bool:
            payloads = [entry.event.payload() for entry in follower.entries]
            last_progress = [p["file"]["progress"] for p in payloads if "file" in p][-1:]
            summed_up = [p["files_processing"][0]["progress"] for p in payloads if p.get("files_processing")][-1:]
            return last_progress == summed_up == [1.0]

        wait_until(shown)


def test_stopping_writes_what_is_queued_and_gives_up_the_lease(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus
) -> None:
    publisher = RedisPublisher(server.url, lambda _: None, prefix=prefix).start()
    core_of(pipeline).attach(publisher)
    for n in range(2000):
        pipeline.add_processing_file(str(n))
    assert publisher.stop()
    assert publisher.stop()
    assert len(journal.read(0, 10_000)) == 2000
    assert journal.stalled(0) == []
    link = server.link()
    assert link.call("EXISTS", Keys(prefix).owner(pipeline.pipeline_id)) == 0
    link.close()
    pipeline.add_processing_file("ignored")
    assert publisher.health()["queued"] == 0


def test_a_second_publisher_of_an_id_is_refused_until_the_first_lets_go(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus
) -> None:
    name = pipeline.pipeline_id
    with publishing(server.url, pipeline, prefix=prefix) as first, publishing(server.url, prefix=prefix) as second:
        first.claim(name)
        first.claim(name)
        with pytest.raises(JournalError, match=rf"^pipeline '{name}' is published by process \d+ on host ") as caught:
            second.claim(name)
        assert not caught.value.retryable
        pipeline.update(status="stopped")
        first.release(name)
        wait_until(lambda: _can_claim(second, name))
        assert len(journal.read(0, 10)) == 1


def test_a_second_publisher_that_did_not_ask_writes_nothing_and_says_so(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus
) -> None:
    with publishing(server.url, prefix=prefix) as first:
        first.claim(pipeline.pipeline_id)
        with publishing(server.url, pipeline, prefix=prefix) as second:
            pipeline.update(status="running")
            wait_until(lambda: second.health()["status"] == "degraded")
            assert "is published by process" in second.health()["error"]
        assert journal.read(0, 10) == []


def test_an_idle_pipeline_keeps_its_lease_and_is_not_stalled(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus
) -> None:
    with publishing(server.url, prefix=prefix, lease_seconds=0.6) as publisher:
        publisher.claim(pipeline.pipeline_id)
        link = server.link()
        beats = set()

        def several_beats() -> bool:
            beats.add(link.call("ZSCORE", Keys(prefix).pipelines, pipeline.pipeline_id))
            assert link.call("EXISTS", Keys(prefix).owner(pipeline.pipeline_id)) == 1
            return len(beats) > 5

        wait_until(several_beats)
        link.close()


def test_publishing_never_waits_whatever_redis_does(tmp_path: Path, pipeline: PipelineStatus) -> None:
    with (
        running(tmp_path / "data") as server,
        publishing(server.url, pipeline, limit=500, timeout_seconds=30) as publisher,
    ):
        pipeline.add_processing_file("a")
        wait_until(lambda: publisher.health()["queued"] == 0)
        server.freeze()
        for n in range(5000):
            pipeline.add_processing_file(str(n))
        assert publisher.health()["queued"] <= 500
        assert publisher.health()["dropped"] > 0
        assert publisher.degraded is None  # its thread still waits for the answer to the first of these
        server.thaw()


def test_a_server_that_is_not_fit_stops_the_start_and_leaves_no_thread(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--requirepass", "s3cret") as server:
        threads = native_threads()
        with pytest.raises(JournalError, match="refused the login"):
            RedisPublisher(server.url, lambda _: None).start()
        assert native_threads() == threads


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path, pipeline: PipelineStatus) -> None:
    with running(tmp_path / "data") as server:
        server.kill()
        with publishing(server.url, pipeline) as publisher:
            assert publisher.health()["status"] == "degraded"
            assert (
                publisher.health()["error"]
                == f"Redis at 127.0.0.1:{server.port}/0 can't be reached: Connection refused"
            )
            with pytest.raises(JournalError) as caught:
                publisher.claim(pipeline.pipeline_id)
            assert caught.value.retryable
            pipeline.update(status="running")
            server.start()
            journal = RedisJournal(server.url)
            wait_until(lambda: len(journal.read(0, 10)) == 1)
            wait_until(lambda: publisher.health() == {
                "status": "ok", "redis": f"127.0.0.1:{server.port}/0", "queued": 0, "dropped": 0,
            })  # fmt: skip
            journal.close()


def test_stopping_is_bounded_when_redis_stands_still(
    tmp_path: Path, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.journal.redis_publisher.STOP_SECONDS", 0.3)
    with running(tmp_path / "data") as server:
        publisher = RedisPublisher(server.url, lambda _: None, timeout_seconds=3600).start()
        core_of(pipeline).attach(publisher)
        pipeline.update(status="running")
        wait_until(lambda: publisher.health()["queued"] == 0)
        server.freeze()
        pipeline.update(status="idle")
        assert publisher.stop() is False
        server.thaw()


def test_a_mistake_in_what_is_asked_for_a_status_does_not_end_the_publisher(
    server: RedisServer, prefix: str, journal: RedisJournal, pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise ZeroDivisionError

    publisher = RedisPublisher(server.url, fail, prefix=prefix, limit=5)
    core_of(pipeline).attach(publisher)
    for n in range(20):
        pipeline.add_processing_file(str(n))
    publisher.start()
    wait_until(lambda: journal.read(0, 100))
    pipeline.add_processing_file("after it")
    wait_until(lambda: "after it" in str([entry.event.payload() for entry in journal.read(0, 100)]))
    assert "ZeroDivisionError" in caplog.text
    assert publisher.stop()


def _can_claim(publisher: RedisPublisher, pipeline_id: str) -> bool:
    try:
        publisher.claim(pipeline_id)
    except JournalError:
        return False
    return True
