"""Processes of :mod:`tests.recovery.shared_program`, and clients that move between servers."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any, Self

from tests.socket_server.support import ClientClosedError, WebSocketSession
from tests.support.programs import ROOT, environment
from tests.support.state_client import StateClient
from tests.support.waiting import wait_until

DEADLINE_SECONDS = 60.0


class Shared:
    """A running process; ``url`` is that of the shared Redis."""

    def __init__(self, url: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.shared_program", *arguments],
            cwd=ROOT,
            env=environment({"STATUS_REDIS_URL": url, **(env or {})}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if not words:
            self._close()
            raise AssertionError(f"it ended with {self.process.returncode} before it printed its ports")
        self.socket_port, self.http_port = map(int, words)

    def go(self) -> None:
        """Let the pipeline start to work."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def done(self) -> None:
        """Wait until the pipeline has finished."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._close()

    def _close(self) -> None:
        """Let the process end by itself, then kill it."""
        try:
            self.process.wait(20)
        finally:
            self.kill()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()


class Wanderer:
    """A client that follows every pipeline on changing servers, and checks that each event comes once."""

    def __init__(self, number: int) -> None:
        self.pictures: dict[str, StateClient] = {}
        self.offset: str | None = None
        self.recovered: list[bool] = []
        self.received = 0
        self.connected = 0
        self._chance = random.Random(number)

    def meet(self, ports: list[int], pipelines: list[str]) -> None:
        """Wait for the first state of each pipeline."""
        self.follow(ports, dict.fromkeys(pipelines, 0), restless=0)

    def follow(self, ports: list[int], wanted: dict[str, int], restless: float = 1.0) -> None:
        """Follow until each pipeline has reached its expected ``seq``."""
        while not self._has(wanted):
            auth = None if self.offset is None else {"offset": self.offset}
            self.connected += 1
            with WebSocketSession(self._chance.choice(ports), auth=auth) as session:
                stay = self._chance.randrange(20, 400) if self._chance.random() < restless else 1 << 30
                while stay > 0 and not self._has(wanted):
                    stay -= 1
                    try:
                        _, name, payload = session.receive_event()
                    except ClientClosedError:
                        break
                    self.take(name, payload)
                if self._chance.random() < 0.5:
                    session.vanish()

    def take(self, name: str, payload: dict[str, Any]) -> None:
        """Apply one event."""
        self.received += 1
        self.offset = payload["offset"]
        if "recovered" in payload:
            self.recovered.append(payload["recovered"])
        if payload["pipeline_id"] is not None:
            self.pictures.setdefault(payload["pipeline_id"], StateClient(superseded={1})).follow(name, payload)

    def _has(self, wanted: dict[str, int]) -> bool:
        return all(
            (picture := self.pictures.get(key)) is not None
            and picture.state is not None
            and picture.state["seq"] >= seq
            for key, seq in wanted.items()
        )


__all__ = ["Shared", "Wanderer", "wait_until"]
