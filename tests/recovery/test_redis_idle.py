"""An idle service reads almost nothing from Redis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.journal.redis.connection import RedisConnection
from tests.journal import redis_server
from tests.socket_server.support import WebSocketSession
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, redis_server.needs_redis]

ROUNDS = 5


def test_an_idle_reader_reads_no_old_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server.running(tmp_path / "redis") as redis:
        monkeypatch.setenv("STATUS_REDIS_URL", redis.url)
        connection = redis.connection()
        pipeline = PipelineStatus("local_files", "idle")
        with start_status_server(0, pipelines=[pipeline]) as server:
            for n in range(500):
                pipeline.complete_file(str(n), result={"text": "x" * 5000})
            pipeline.update(status="idle")
            wait_until(lambda: _shown(server.socket_port) == 501)
            counts = _Counts(connection)
            polls, sent = counts.polls(), counts.output_bytes()
            wait_until(lambda: counts.polls() >= polls + ROUNDS)
            # Each entry has 5 KB. A client that has just left may have caused an answer or two.
            assert counts.output_bytes() - sent < ROUNDS * 1000
        pipeline.close()
        connection.close()


def _shown(port: int) -> int:
    """Return what a new client gets, which shows how far the stream was read."""
    with WebSocketSession(port) as session:
        seq: int = session.receive_event()[2]["seq"]
        return seq


class _Counts:
    """Counts the bytes that Redis sends, without those of its own queries."""

    def __init__(self, connection: RedisConnection) -> None:
        self._link = connection
        self._own_bytes = 0

    def polls(self) -> int:
        found = re.search(r"cmdstat_xread:calls=(\d+)", self._info("commandstats"))
        return int(found[1]) if found else 0

    def output_bytes(self) -> int:
        before = self._own_bytes
        found = re.search(r"total_net_output_bytes:(\d+)", self._info("stats"))
        assert found
        return int(found[1]) - before

    def _info(self, section: str) -> str:
        text = str(self._link.call("INFO", section))
        self._own_bytes += len(text) + len(f"${len(text)}\r\n\r\n")
        return text
