"""Scrapes of a running service agree with its other endpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import REGISTRY

from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.journal.redis_server import needs_redis, running
from tests.metrics.scraping import TEXT_FORMAT, Scrape, scrape
from tests.recovery.processes import Shared
from tests.socket_server.support import (
    HOST,
    PollingSession,
    WebSocketSession,
    hammer,
    in_threads,
    new_pipeline,
    request,
    serving,
    wait_until,
)
from tests.support.programs import run


def agrees(found: Scrape, pipeline: PipelineStatus) -> None:
    """Compare with ``get()`` and ``/status``."""
    state = pipeline.get()
    key = state["pipeline_id"]
    for result, total in (("completed", "processed"), ("failed", "failed"), ("skipped", "skipped")):
        assert found.value("files", pipeline=key, result=result) == state[f"total_{total}"]
    assert found.value("files_in_flight", pipeline=key) == state["files_in_flight"]
    assert found.value("files_queued", pipeline=key) == state["files_queued"]
    assert found.value("state", pipeline=key, state=state["status"]) == 1
    activity = found.value("last_activity_timestamp_seconds", pipeline=key)
    if activity is None:
        assert state["last_activity"] is None
    else:
        assert abs(activity - datetime.fromisoformat(state["last_activity"]).timestamp()) < 0.001


def test_a_scrape_agrees_with_the_states() -> None:
    first, second = new_pipeline("google_drive"), new_pipeline()
    for pipeline in (first, second):
        pipeline.update(status="processing", files_queued=3)
        with pipeline.processing("a.pdf", "1") as file:
            file.stage("chunking")
            file.stage("embedding")
        pipeline.add_processing_file("b.pdf", "2")
    with serving(first, second) as server:
        found = scrape(server)
    for pipeline in (first, second):
        agrees(found, pipeline)
        for stage in ("chunking", "embedding"):
            count = found.value("stage_duration_seconds_count", pipeline=pipeline.pipeline_id, stage=stage)
            assert count == 1
    assert found.value("info", pipeline=first.pipeline_id, type="google_drive") == 1
    assert found.samples["process_cpu_seconds_total", frozenset()] > 0
    assert "a.pdf" not in found.text


def test_a_service_without_pipelines_can_be_scraped() -> None:
    with serving() as server:
        found = scrape(server)
        assert found.all("up") == []
        assert found.value("service_up") == 1


def test_head_and_other_accepted_formats_get_the_same_format() -> None:
    with serving() as server:
        status, headers, body = request(server.http_port, "/metrics", "HEAD")
        assert (status, headers["content-type"], body) == (200, TEXT_FORMAT, "")
        _, headers, _ = request(server.http_port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert headers["content-type"] == TEXT_FORMAT


def test_the_host_programs_registry_stays_empty() -> None:
    with serving(new_pipeline()) as server:
        scrape(server)
        assert not [family.name for family in REGISTRY.collect() if family.name.startswith("rag_")]


@pytest.mark.slow
def test_scrapes_beside_thousands_of_mutations_are_consistent_and_counters_never_fall() -> None:
    pipeline = new_pipeline()
    key = pipeline.pipeline_id
    counts: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    # The client reads nothing until the end, not even pings.
    patience: dict[str, Any] = {"backlog_limit_bytes": 1 << 30, "ping_timeout_seconds": 600}
    with serving(pipeline, **patience) as server, WebSocketSession(server.socket_port) as client:
        workers: list[threading.Thread] = []
        for _ in range(10):
            if not any(worker.is_alive() for worker in workers):
                workers += hammer(pipeline, threads=3, rounds=400)
            found = scrape(server)
            for family in found.families.values():
                if family.type in ("counter", "histogram"):
                    for sample in family.samples:
                        place = (sample.name, frozenset(sample.labels.items()))
                        assert sample.value >= counts.get(place, 0.0), place
                        counts[place] = sample.value
            for result in ("completed", "failed"):
                files = found.value("files_total", pipeline=key, result=result)
                assert found.value("file_duration_seconds_count", pipeline=key, result=result) == files
        for worker in workers:
            worker.join(60)
        client.follow(pipeline)
        found = scrape(server)
        agrees(found, pipeline)
        assert found.value("stage_duration_seconds_count", pipeline=key, stage="chunking") == 400 * len(workers)
        sent = found.value("events_sent_total")
        assert sent is not None
        assert sent > 3000


def test_clients_are_counted_by_namespace_and_transport() -> None:
    pipeline = new_pipeline()
    with (
        serving(pipeline) as server,
        WebSocketSession(server.socket_port) as websocket,
        PollingSession(server.socket_port, namespace="/local_files") as polling,
        requests.get(
            f"http://{HOST}:{server.http_port}/events", headers={"Accept": "text/event-stream"}, stream=True, timeout=20
        ) as stream,
    ):
        for namespace in ("/local_files", "/"):
            websocket.connect(namespace)
            websocket.receive()
        polling.receive()
        lines = stream.iter_lines()  # kept: a generator that is collected closes the connection
        next(lines)

        def shown() -> dict[tuple[str, str], float]:
            return {(labels["namespace"], labels["transport"]): v for labels, v in scrape(server).all("clients") if v}

        wait_until(lambda: len(shown()) == 4)
        assert shown() == {
            ("/pipeline", "websocket"): 2,  # one of them joined "/"
            ("/local_files", "websocket"): 1,
            ("/local_files", "polling"): 1,
            ("/pipeline", "sse"): 1,
        }
        found = scrape(server)
        assert found.all("connections") == [({"transport": t}, 1.0) for t in ("websocket", "polling", "sse")]


@pytest.mark.parametrize("direct", [True, False])
def test_each_outlet_knows_its_transport(direct: bool) -> None:
    with (
        serving(new_pipeline(), direct=direct) as server,
        WebSocketSession(server.socket_port) as websocket,
        PollingSession(server.socket_port) as polling,
    ):
        websocket.receive()
        polling.receive()
        found = scrape(server)
        for transport in ("websocket", "polling"):
            assert found.value("connections", transport=transport) == 1


@pytest.mark.slow
def test_a_client_that_does_not_read_is_backlog_then_dropped() -> None:
    pipeline = new_pipeline()
    limit = 1 << 23
    with (
        serving(pipeline, backlog_limit_bytes=limit) as server,
        WebSocketSession(server.socket_port, receive_buffer=4096) as client,
    ):
        client.receive()
        assert scrape(server).value("backlog_limit_bytes") == limit
        seen: list[float] = []
        for number in range(5000):
            pipeline.update(own={"text": "x" * 100_000, "number": number})
            found = scrape(server)
            seen.append(found.value("largest_backlog_bytes") or 0)
            if found.value("clients_dropped_total"):
                break
        assert found.value("clients_dropped_total") == 1
        assert 0 < max(seen) <= limit
        wait_until(lambda: scrape(server).value("backlog_bytes") == 0)
        assert server.health().body["clients_dropped"] == 1


@contextmanager
def stuck(server: StatusServer) -> Iterator[Callable[[], None]]:
    """Block the hub's thread until the returned function is called, or the block ends."""
    release, entered = threading.Event(), threading.Event()

    def stand_still() -> None:
        entered.set()
        release.wait(60)

    server._sockets.hub.call(stand_still)
    assert entered.wait(20)
    try:
        yield release.set
    finally:
        release.set()


@pytest.mark.slow
def test_a_stuck_hub_does_not_hang_the_scrape_and_is_reported() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, stuck(server) as release:
        pipeline.update(status="running")
        found = scrape(server)
        assert found.value("service_up") == 0
        assert found.all("clients") == []
        assert found.value("hub_queued") not in (None, 0)
        agrees(found, pipeline)

        def ask(_: int) -> None:
            assert scrape(server).value("service_up") == 0

        in_threads(8, ask)
        release()
        wait_until(lambda: scrape(server).value("service_up") == 1)


def test_the_journals_figures_are_exported(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, state_dir=tmp_path) as server:
        for number in range(10):
            pipeline.update(own={"number": number})
        wait_until(lambda: scrape(server).value("journal_events") == 10)
        found = scrape(server)
        assert found.value("journal_info", kind="sqlite") == 1
        assert found.value("journal_degraded") == 0
        assert (found.value("journal_bytes") or 0) > 4096
        assert found.value("journal_queued") == 0


@pytest.mark.slow
def test_the_last_success_outlives_the_process_with_the_journal(tmp_path: Path) -> None:
    with serving(first := PipelineStatus("local_files", "outliving"), state_dir=tmp_path) as server:
        with first.processing("a.pdf"):
            pass
        before = scrape(server).value("last_success_timestamp_seconds", pipeline="outliving")
        assert before is not None
        assert abs(before - time.time()) < 60
    with serving(again := PipelineStatus("local_files", "outliving"), state_dir=tmp_path) as server:
        found = scrape(server)
        after = found.value("last_success_timestamp_seconds", pipeline="outliving")
        assert after is not None
        assert abs(after - before) < 0.001
        agrees(found, again)
        first.close()


PATCHED_HOST = """
import eventlet
eventlet.monkey_patch()
import urllib.request
from rag_pipeline import PipelineStatus, start_status_server

pipeline = PipelineStatus("local_files", "patched")
with start_status_server(0, pipelines=[pipeline]) as server:
    with pipeline.processing("a.pdf") as file:
        file.stage("chunking")

    def scrape(_):
        return urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=20).read().decode()

    for text in eventlet.GreenPool(16).imap(scrape, range(64)):
        assert 'rag_pipeline_files_total{pipeline="patched",result="completed"} 1.0' in text, text
        assert "rag_pipeline_service_up 1.0" in text, text
print("done")
"""


@pytest.mark.slow
def test_many_can_scrape_a_monkey_patched_host_program() -> None:
    done = run("-W", "ignore", "-c", PATCHED_HOST)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.slow
@needs_redis
def test_remote_pipelines_are_exported_and_a_dead_one_is_not_up(tmp_path: Path) -> None:
    quick = {"STATUS_HEARTBEAT_SECONDS": "3"}
    with running(tmp_path / "redis") as redis, Shared(redis.url, "serve", env=quick) as server:
        with Shared(redis.url, "pipeline", "dying", "3", env=quick) as pipeline:
            pipeline.go()
            pipeline.done()
            wait_until(lambda: files_of("dying", server.http_port) == 3)
            assert scrape_port(server.http_port).value("up", pipeline="dying") == 1
            pipeline.kill()
        found = scrape_port(server.http_port)
        assert found.all("stage_duration_seconds_count") == [], "they are measured where the work is done"
        assert found.value("journal_info", kind="redis") == 1
        wait_until(lambda: scrape_port(server.http_port).value("up", pipeline="dying") == 0)


def files_of(pipeline_id: str, port: int) -> float:
    found = scrape_port(port)
    done = (found.value("files_total", pipeline=pipeline_id, result=result) for result in ("completed", "failed"))
    return sum(count or 0 for count in done)


def scrape_port(port: int) -> Scrape:
    status, _, body = request(port, "/metrics")
    assert status == 200
    return Scrape(body)
