"""Exceptions raised into starts and stops at any moment leave nothing behind."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.common.listener import open_listener
from rag_pipeline.errors import PortInUseError
from rag_pipeline.service import start_status_server
from tests.journal.redis_server import needs_redis, running
from tests.support.http_get import get_json
from tests.support.interrupts import interrupted
from tests.support.processes import native_threads
from tests.support.waiting import wait_until

STOPS = 200
STARTS = 200


def lasting_pair() -> int:
    """Return a free port whose next one is free too; the system gives neither to a client meanwhile."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(lowest // 2, lowest - 2)
        with contextlib.suppress(PortInUseError):
            assert_free(port, port + 1)
            return port


def assert_free(*ports: int) -> None:
    for port in ports:
        open_listener("127.0.0.1", port).close()


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bare_hooks")]


@pytest.mark.parametrize("kept", [False, True], ids=["memory", "sqlite"])
def test_an_interrupted_stop_leaves_nothing_after_the_next_stop(tmp_path: Path, kept: bool) -> None:
    rng = random.Random(5)
    pipeline = PipelineStatus("local_files", f"interrupts-{kept}")
    before = native_threads()
    port = lasting_pair()
    hits = 0
    for _ in range(STOPS // 2):
        server = start_status_server(port, pipelines=[pipeline], state_dir=tmp_path if kept else None)
        pipeline.update(status="running")
        hits += interrupted(server.stop, rng, within_seconds=0.004, times=rng.randint(1, 3))
        server.stop()
        assert "stopped" in repr(server)
        wait_until(lambda: native_threads() <= before)
        assert_free(port, port + 1)
    assert hits > STOPS // 20
    with start_status_server(port, pipelines=[pipeline]) as server:
        assert get_json(server.http_port, "/health").body["status"] == "ok"


def test_threads_and_ports_end_even_without_another_stop() -> None:
    rng = random.Random(6)
    before = native_threads()
    for _ in range(STOPS // 4):
        server = start_status_server(0, pipelines=[])
        interrupted(server.stop, rng, within_seconds=0.002, times=2)
        if "running" not in repr(server):  # else the exception came before stop() did anything
            wait_until(lambda: native_threads() <= before)
            assert_free(server.http_port, server.socket_port)
        server.stop()


@needs_redis
def test_a_stop_ends_and_frees_the_ports_while_redis_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(8)
    before = native_threads()
    with running(tmp_path) as redis:
        monkeypatch.setenv("STATUS_REDIS_URL", redis.url)
        pipeline = PipelineStatus("local_files", "interrupts-redis")
        server = start_status_server(0, pipelines=[pipeline])
        redis.freeze()
        pipeline.update(status="running")
        interrupted(server.stop, rng, within_seconds=0.1, times=2)
        server.stop()
        assert "stopped" in repr(server)
        assert_free(server.http_port, server.socket_port)
        redis.thaw()
        wait_until(lambda: native_threads() <= before)


def test_an_interrupted_start_leaves_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    pipeline = PipelineStatus("local_files", "interrupted-starts")
    before = native_threads()
    port = lasting_pair()
    hits = 0

    def start() -> None:
        start_status_server(port, pipelines=[pipeline], state_dir=tmp_path).stop()

    for _ in range(STARTS):
        hits += interrupted(start, rng, within_seconds=0.004, times=rng.randint(1, 2))
        # A new server, or the one that had started when the exception came.
        start_status_server(port, pipelines=[pipeline], state_dir=tmp_path).stop()
        wait_until(lambda: native_threads() <= before)
        assert_free(port, port + 1)
    assert hits > STARTS // 20
    with start_status_server(port, pipelines=[pipeline], state_dir=tmp_path) as server:
        assert get_json(server.http_port, "/health").body["journal"]["status"] == "ok"
