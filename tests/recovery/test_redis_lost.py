"""A Redis that loses data under load: each jump of ``seq`` that a client sees is marked as a gap."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.journal import redis_server
from tests.journal.redis_server import RedisServer
from tests.socket_server.support import ClientClosedError, WebSocketSession
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, redis_server.needs_redis]

TURNS = 60
SEED = 20_261_129


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server.running(tmp_path / "redis", "--appendonly", "no") as server:
        yield server


class Listener:
    """A client that stays connected, and every unmarked jump that it saw."""

    def __init__(self, port: int) -> None:
        self.unmarked: list[tuple[str, str, int, int]] = []
        self.gaps = 0
        self.newest: dict[str, tuple[str, int]] = {}
        self._session = WebSocketSession(port)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stopping = False
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            try:
                _, name, payload = self._session.receive_event()
            except (ClientClosedError, OSError, TimeoutError):
                return
            if payload["pipeline_id"] is not None:
                self._take(name, payload)

    def _take(self, name: str, payload: dict[str, Any]) -> None:
        pipeline_id, epoch, seq = payload["pipeline_id"], payload["epoch"], payload["seq"]
        known_epoch, last = self.newest.get(pipeline_id, (None, 0))
        self.newest[pipeline_id] = (epoch, seq)
        if payload.get("gap"):
            self.gaps += 1
        elif known_epoch == epoch and seq != last + 1 and not (name == "pipeline:status" and seq == last):
            self.unmarked.append((pipeline_id, name, last, seq))

    def stop(self) -> None:
        self._stopping = True
        self._session.vanish()
        self._thread.join(10)


class Load:
    """Pipelines that report without pause until stopped."""

    def __init__(self, pipelines: list[PipelineStatus]) -> None:
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(p,), daemon=True) for p in pipelines]
        for thread in self._threads:
            thread.start()

    def _work(self, pipeline: PipelineStatus) -> None:
        number = 0
        while not self.stopping.wait(0.0003):
            number += 1
            pipeline.add_processing_file(f"file-{number}")
            pipeline.complete_file(f"file-{number}")

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(10)


def _under_load(redis: RedisServer, lose: Callable[[int], None]) -> Listener:
    """Return the unmarked jumps that a client saw during many losses; at the end it has the current states."""
    pipelines = [PipelineStatus("local_files", f"loaded-{n}") for n in range(3)]
    draw = random.Random(SEED)
    idle = PipelineStatus("local_files", "idle")
    with start_status_server(0, pipelines=[*pipelines, idle]) as server:
        idle.update(status="idle", own={"mine": 7})
        listener = Listener(server.socket_port)
        wait_until(lambda: listener.newest)
        load = Load(pipelines)
        for turn in range(TURNS):
            _wait_for_work(pipelines, listener, draw.randrange(1, 60))
            lose(turn)
        load.stop()
        for pipeline in pipelines:
            pipeline.update(status="idle")
        everyone = [*pipelines, idle]
        wait_until(lambda: all(listener.newest[p.pipeline_id][1] == p.get()["seq"] for p in everyone))
        _assert_whole(server, everyone)
        listener.stop()
    print(f"{listener.gaps} gaps")
    for pipeline in everyone:
        pipeline.close()
    return listener


def _wait_for_work(pipelines: list[PipelineStatus], listener: Listener, events: int) -> None:
    marks = {p.pipeline_id: p.get()["seq"] + events for p in pipelines}
    wait_until(lambda: all(listener.newest.get(key, ("", 0))[1] >= seq for key, seq in marks.items()), "events")


def _assert_whole(server: StatusServer, pipelines: list[PipelineStatus]) -> None:
    states = get_json(server.http_port, "/status").body["pipelines"]
    for pipeline in pipelines:
        assert states[pipeline.pipeline_id]["seq"] == pipeline.get()["seq"]
        assert states[pipeline.pipeline_id]["total_processed"] == pipeline.get()["total_processed"]


def test_each_jump_is_marked_when_redis_is_emptied(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS_REDIS_URL", redis.url)
    connection = redis.connection()
    listener = _under_load(redis, lambda _: connection.call("FLUSHALL"))
    connection.close()
    assert listener.unmarked == []


def test_each_jump_is_marked_when_single_keys_are_deleted(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS_REDIS_URL", redis.url)
    connection = redis.connection()
    connection.call("SET", "x", "y")
    listener = _under_load(redis, lambda _: connection.call("DEL", "rag:events"))
    connection.close()
    assert listener.unmarked == []
