"""Host programs with threads, asyncio or eventlet: each event arrives once and in order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.socket_server.support import (
    JsonDict,
    PollingSession,
    Session,
    StateClient,
    WebSocketSession,
    in_threads,
    request,
    without_volatile,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Host:
    """A running host program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the host program ended"
        return json.loads(line)

    def send_line(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def host(mode: str, events: int, log: Path) -> Iterator[Host]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.socket_server.host_program", mode, str(events)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Host(process)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


@pytest.mark.parametrize("mode", ["threads", "asyncio", "patched_before", "patched_after", "busy"])
def test_every_event_arrives_in_order_in_every_kind_of_host_program(mode: str, tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    with host(mode, 100, log) as running:
        ports = running.read()
        with WebSocketSession(ports["socket_port"]) as websocket, PollingSession(ports["socket_port"]) as polling:
            final: JsonDict = {}
            played = threading.Event()

            def follow(number: int) -> None:
                session: Session = (websocket, polling)[number]
                client = StateClient()
                while client.state is None or client.state.get("played") is not True:
                    _, name, payload = session.receive_event()
                    client.follow(name, payload)
                assert played.wait(30)
                assert without_volatile(client.state) == without_volatile(final)

            def play() -> None:
                running.send_line()
                final.update(running.read())
                played.set()

            in_threads(3, lambda number: follow(number) if number < 2 else play())
            status, _, body = request(ports["http_port"], "/health")
            assert status == 200
            assert json.loads(body)["clients"]["/pipeline"] == 2
            running.send_line()
            assert running.read() == "stopped"
        assert running.process.wait(60) == 0
    assert log.read_text() == ""
