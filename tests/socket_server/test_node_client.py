"""socket.io-client in Node: each transport, the upgrade under load, resuming, tokens."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from rag_pipeline.common.config import AuthSettings
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.access.signing import SECRET, shared
from tests.contract.checking import check_event
from tests.socket_server.support import (
    StateClient,
    hammer,
    in_threads,
    new_pipeline,
    serving,
    ticking,
    without_volatile,
)
from tests.support.recorder import status_numbers

JS = Path(__file__).parents[1] / "js"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (JS / "node_modules" / "socket.io-client").is_dir(),
        reason="tests/js/node_modules is missing: npm ci --prefix tests/js",
    ),
]


class NodeClient:
    """A Node process that follows a namespace and prints what it sees."""

    def __init__(
        self,
        port: int,
        mode: str = "default",
        namespace: str = "/pipeline",
        script: str = "watch.mjs",
        **environment: str,
    ) -> None:
        assert NODE is not None
        self._process = subprocess.Popen(
            [NODE, str(JS / script), f"http://127.0.0.1:{port}", namespace, mode],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[list[Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.client = StateClient()
        self.log: list[list[Any]] = []

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))

    def next(self) -> list[Any]:
        """Return the next line that is not an event; follow the events."""
        line = self._lines.get(timeout=60)
        if line[0] == "event":
            check_event(line[1], line[2])
            self.client.follow(line[1], line[2])
        else:
            self.log.append(line)
        return line

    def wait_for(self, *line: Any) -> None:
        while list(line) not in self.log:
            self.next()

    def follow(self, pipeline: PipelineStatus) -> None:
        while self.client.state is None or self.client.state["seq"] < pipeline.get()["seq"]:
            self.next()
        assert without_volatile(self.client.state) == without_volatile(pipeline.get())

    def cut(self) -> None:
        """Break the client's connection."""
        assert self._process.stdin is not None
        self._process.stdin.write("cut\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(60)
            self._process.stdout.close()


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, direct=request.param) as running:
        yield running


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_node_client_sees_every_event_once_in_order(
    server: StatusServer, pipeline: PipelineStatus, transport: str
) -> None:
    threads = hammer(pipeline, 2, 100)
    with NodeClient(server.socket_port, transport) as client:
        client.wait_for("connect", transport)
        for thread in threads + hammer(pipeline, 2, 100):
            thread.join()
        client.follow(pipeline)
        assert client.log == [["connect", transport]]


def test_node_clients_that_upgrade_under_load_miss_no_event(server: StatusServer, pipeline: PipelineStatus) -> None:
    all_upgraded, quiet = threading.Barrier(4), threading.Event()

    def watch(_number: int) -> None:
        with NodeClient(server.socket_port) as client:
            client.wait_for("upgrade", "websocket")
            all_upgraded.wait(60)
            assert quiet.wait(60)
            client.follow(pipeline)
            assert sorted(line[0] for line in client.log) == ["connect", "upgrade"]

    def make_noise() -> None:
        with ticking(pipeline):
            all_upgraded.wait(60)
            for thread in hammer(pipeline, 2, 100):
                thread.join()
        quiet.set()

    in_threads(4, lambda number: watch(number) if number else make_noise())


def test_a_node_client_gets_the_names_of_the_namespaces_for_an_unknown_one(server: StatusServer) -> None:
    message = "there is no namespace '/nowhere': expected /google_drive, /local_files, /pipeline or /"
    with NodeClient(server.socket_port, namespace="/nowhere") as client:
        client.wait_for("connect_error", message)


class RootClient(NodeClient):
    """A Node client in the root namespace, and in others over the same connection."""

    def __init__(self, port: int, transports: str, *others: str) -> None:
        super().__init__(port, transports, ",".join(["", *others]), "root.mjs")
        self.followed = {namespace: StateClient() for namespace in ("", *others)}

    def next(self) -> list[Any]:
        line = self._lines.get(timeout=30)
        if line[0] == "event":
            check_event(line[1], line[2])
            self.followed[line[3]].follow(line[1], line[2])
        else:
            self.log.append(line)
        return line

    def follow(self, pipeline: PipelineStatus) -> None:
        for client in self.followed.values():
            while client.state is None or client.state["seq"] < pipeline.get()["seq"]:
                self.next()
            assert without_volatile(client.state) == without_volatile(pipeline.get())


@pytest.mark.parametrize("others", [[], ["/pipeline"]], ids=["root", "both"])
@pytest.mark.parametrize("transports", ["websocket,polling", "websocket", "polling", "polling,websocket"])
def test_a_node_client_that_names_no_namespace_sees_every_event_once_in_order(
    server: StatusServer, pipeline: PipelineStatus, transports: str, others: list[str]
) -> None:
    threads = hammer(pipeline, 2, 50)
    with RootClient(server.socket_port, transports, *others) as client:
        while len(client.log) < 1 + len(others):
            client.next()
        for thread in threads + hammer(pipeline, 2, 50):
            thread.join()
        client.follow(pipeline)
        assert sorted(line[:2] for line in client.log) == [["connect", name] for name in ("", *others)]
        assert len({line[2] for line in client.log}) == 1, "one connection"


def test_a_node_client_that_tries_all_transports_finds_the_one_that_is_served(pipeline: PipelineStatus) -> None:
    with serving(pipeline, transports=("websocket",)) as server:
        with NodeClient(server.socket_port, TRY_ALL_TRANSPORTS="1") as client:
            client.wait_for("connect", "websocket")
            client.follow(pipeline)
        with NodeClient(server.socket_port) as stubborn:
            stubborn.wait_for("connect_error", "xhr poll error")


def test_a_node_client_reconnects_to_a_restarted_server(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as first, NodeClient(first.socket_port, "websocket") as client:
        client.follow(pipeline)
        first.stop()
        client.wait_for("disconnect", "transport close")
        pipeline.update(status="running", own={"told": "while no one listened"})
        client.client = StateClient()
        with serving(pipeline, socket_port=first.socket_port):
            deadline = time.monotonic() + 20
            while client.client.state is None:
                assert time.monotonic() < deadline
                client.next()
            client.follow(pipeline)
            assert client.client.state["told"] == "while no one listened"


# -- recovery ----------------------------------------------------------------------------------------------------------


class ResumingClient(NodeClient):
    """A Node client that resumes; ``recovered`` has one value for each time it connected."""

    def __init__(self, port: int, mode: str, namespace: str = "/pipeline") -> None:
        super().__init__(port, mode, namespace, "resume.mjs")

    def connected(self, times: int) -> list[bool]:
        """Wait until it has connected ``times`` times; return ``socket.recovered`` of each."""
        while len(recovered := [bool(line[1]) for line in self.log if line[0] == "connect"]) < times:
            self.next()
        return recovered


@pytest.mark.parametrize("namespace", ["/pipeline", ""])
@pytest.mark.parametrize("mode", ["socket.io", "offset"])
def test_a_node_client_misses_no_event_when_its_connection_breaks(
    pipeline: PipelineStatus, mode: str, namespace: str
) -> None:
    with serving(pipeline) as server, ResumingClient(server.socket_port, mode, namespace) as client:
        client.follow(pipeline)
        client.client.superseded = status_numbers(pipeline)
        for round_number in range(1, 4):
            client.cut()
            for thread in hammer(pipeline, 2, 30):
                thread.join()
            recovered = client.connected(1 + round_number)
            # The client checks that there is no gap: each missed event once, then the state.
            client.follow(pipeline)
            assert recovered[-1] is (mode == "socket.io"), "socket.recovered"


@pytest.mark.parametrize("namespace", ["/pipeline", ""])
@pytest.mark.parametrize("mode", ["socket.io", "offset"])
def test_a_node_client_resumes_after_a_restart_of_the_service(
    pipeline: PipelineStatus, mode: str, namespace: str, tmp_path: Path
) -> None:
    with serving(pipeline, state_dir=tmp_path) as first, ResumingClient(first.socket_port, mode, namespace) as client:
        client.follow(pipeline)
        for thread in hammer(pipeline, 2, 30):
            thread.join()
        client.follow(pipeline)
        first.stop()
        pipeline.close()
        again = PipelineStatus(pipeline.pipeline_type, pipeline.pipeline_id)
        with serving(again, state_dir=tmp_path, socket_port=first.socket_port):
            client.client.superseded = status_numbers(again)
            for thread in hammer(again, 2, 30):
                thread.join()
            recovered = client.connected(2)
            client.follow(again)
            assert recovered[-1] is (mode == "socket.io")


def test_a_node_client_that_was_away_too_long_gets_a_new_snapshot(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as first, ResumingClient(first.socket_port, "socket.io") as client:
        client.follow(pipeline)
        first.stop()
        client.client = StateClient()
        with serving(pipeline, socket_port=first.socket_port):  # in memory: another journal
            assert client.connected(2) == [False, False]
            client.follow(pipeline)


# -- tokens ------------------------------------------------------------------------------------------------------------

TOKEN = "a-token-of-the-house"
MANY_RETRIES_SECONDS = 1.0
"""Long enough for many attempts of a client that reconnects after 20 to 40 ms."""


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def guarded(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    auth = AuthSettings(tokens=(TOKEN,), jwt_secret=SECRET)
    with serving(pipeline, direct=request.param, auth=auth) as running:
        yield running


def assert_stays_away(client: NodeClient) -> None:
    """Fail if the client prints anything in a time in which it could have reconnected many times."""
    with contextlib.suppress(queue.Empty):
        while line := client._lines.get(timeout=MANY_RETRIES_SECONDS):
            assert line[0] in ("close", "event"), line


@pytest.mark.parametrize("transports", ["default", "websocket", "polling"])
def test_a_node_client_with_a_token_joins(guarded: StatusServer, pipeline: PipelineStatus, transports: str) -> None:
    with NodeClient(guarded.socket_port, transports, script="access.mjs", TOKEN=TOKEN) as client:
        client.follow(pipeline)
        assert client.log == [["open"], ["connect"]]


@pytest.mark.parametrize("transports", ["default", "websocket", "polling"])
@pytest.mark.parametrize(
    ("environment", "namespace", "message", "code"),
    [
        ({}, "/pipeline", "a token is needed to see this", "token_missing"),
        ({"TOKEN": "wrong-token-of-a-stranger"}, "/pipeline", "the token is not valid", "token_invalid"),
        ({"TOKEN": shared(seconds=-5)}, "/pipeline", "the token has expired", "token_expired"),
        (
            {"TOKEN": shared(seconds=3600, namespaces="local_files")},
            "/pipeline",
            "the token does not allow /pipeline",
            "namespace_not_allowed",
        ),
    ],
    ids=["missing", "invalid", "expired", "not allowed"],
)
def test_a_refused_node_client_gets_the_reason_and_does_not_reconnect(
    guarded: StatusServer, environment: dict[str, str], namespace: str, message: str, code: str, transports: str
) -> None:
    with NodeClient(guarded.socket_port, transports, namespace, "access.mjs", **environment) as client:
        client.wait_for("connect_error", message, {"code": code}, False)
        assert_stays_away(client)
        assert [line[0] for line in client.log if line[0] != "close"] == ["open", "connect_error"]


def test_a_node_client_whose_token_expires_does_not_reconnect(guarded: StatusServer) -> None:
    token = shared(seconds=15)  # Node may take seconds to start
    with NodeClient(guarded.socket_port, script="access.mjs", TOKEN=token) as client:
        client.wait_for("connect")
        client.wait_for("disconnect", "io server disconnect", False)
        assert_stays_away(client)
        assert "reconnect_attempt" not in [line[0] for line in client.log]
