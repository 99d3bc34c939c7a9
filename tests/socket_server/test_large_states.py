"""Large states: a new client gets them all, over every transport, however slowly it reads."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import encode_payload
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import (
    HOST,
    JsonDict,
    PollingSession,
    WebSocketSession,
    new_pipeline,
    serving,
)

pytestmark = pytest.mark.slow

PIPELINES = 40
STATE_BYTES = 100_000
WATCH = Path(__file__).parents[1] / "js" / "watch.mjs"
"""Prints each event as one line of JSON."""


@contextmanager
def large_service(**settings: Any) -> Iterator[tuple[StatusServer, list[PipelineStatus]]]:
    """Run a service with 4 MB of states, four times the bound of a backlog."""
    pipelines = [new_pipeline() for _ in range(PIPELINES)]
    for pipeline in pipelines:
        pipeline.update(status="running", own={"text": "x" * STATE_BYTES})
    with serving(*pipelines, **settings) as server:
        yield server, pipelines


def assert_whole(payloads: list[JsonDict], pipelines: list[PipelineStatus]) -> None:
    """Check that each pipeline's state came first, then its events once and in order."""
    seqs: dict[str, int] = {}
    for body in payloads:
        pipeline_id, seq = body["pipeline_id"], body["seq"]
        assert pipeline_id in seqs or len(body["text"]) == STATE_BYTES, "the state comes first"
        assert seq - seqs.get(pipeline_id, seq) in (0, 1)
        seqs[pipeline_id] = seq
    assert seqs == {pipeline.pipeline_id: pipeline.get()["seq"] for pipeline in pipelines}


def work(pipelines: list[PipelineStatus], count: int = 3) -> None:
    for n in range(count):
        for pipeline in pipelines[::8]:
            pipeline.skip_file(f"f{n}", "no text")


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("session", [WebSocketSession, PollingSession])
def test_a_new_client_gets_every_state_and_the_events_that_follow(
    session: type[WebSocketSession] | type[PollingSession], direct: bool
) -> None:
    with large_service(direct=direct) as (server, pipelines), session(server.socket_port) as client:
        payloads = [client.receive_event()[2]]
        work(pipelines)
        wanted = {pipeline.pipeline_id: pipeline.get()["seq"] for pipeline in pipelines}
        while wanted != {body["pipeline_id"]: body["seq"] for body in payloads}:
            payloads.append(client.receive_event()[2])
        assert_whole(payloads, pipelines)
        assert server._sockets.hub.clients_dropped == 0


@pytest.mark.parametrize("direct", [True, False])
def test_a_new_client_that_reads_slowly_gets_every_state(direct: bool) -> None:
    with large_service(direct=direct) as (server, pipelines):
        with WebSocketSession(server.socket_port, receive_buffer=1 << 14) as client:
            client.read_size = slowly()
            payloads = [client.receive_event()[2]]
            work(pipelines)
            wanted = {pipeline.pipeline_id: pipeline.get()["seq"] for pipeline in pipelines}
            while wanted != {body["pipeline_id"]: body["seq"] for body in payloads}:
                payloads.append(client.receive_event()[2])
            assert_whole(payloads, pipelines)
        assert server._sockets.hub.clients_dropped == 0


def slowly() -> Callable[[], int]:
    """Return a read size that makes each read of 32 KiB take a few milliseconds."""

    def size() -> int:
        time.sleep(0.004)
        return 1 << 15

    return size


def test_a_state_larger_than_the_bound_reaches_every_client() -> None:
    pipeline = new_pipeline()
    pipeline.update(own={"text": "x" * 200_000})
    with serving(pipeline, backlog_limit_bytes=1 << 16) as server:
        with WebSocketSession(server.socket_port, receive_buffer=1 << 12) as client:
            client.read_size = slowly()
            assert len((client.follow(pipeline).state or {})["text"]) == 200_000
        with PollingSession(server.socket_port) as poller:
            assert len((poller.follow(pipeline).state or {})["text"]) == 200_000
        assert server._sockets.hub.clients_dropped == 0


def test_clients_that_join_together_share_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str | None] = []

    def counting(event: PipelineEvent) -> str:
        made.append(event.pipeline_id)
        return encode_payload(event)

    with large_service() as (server, _), ExitStack() as stack:
        opened = [stack.enter_context(WebSocketSession(server.socket_port, namespace=None)) for _ in range(10)]
        monkeypatch.setattr("rag_pipeline.journal.base.encode_payload", counting)
        hold = native.Future()
        server._sockets.hub.call(lambda: wait_for(hold))
        for client in opened:
            client.send("40/pipeline,")
        hold.set()
        for client in opened:
            shown = 0
            while shown < PIPELINES:
                shown += client.receive().startswith("42/")
    assert len(made) <= 3 * PIPELINES, f"{len(made)} encodings for ten clients"


def wait_for(gate: native.Future) -> None:
    assert gate.wait(30)


def test_an_event_stream_gets_every_state() -> None:
    with large_service() as (server, pipelines):
        with socket.create_connection((HOST, server.http_port), timeout=30) as connection:
            connection.sendall(b"GET /events HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            received, names = b"", 0
            while names < PIPELINES:
                time.sleep(0.002)
                part = connection.recv(1 << 16)
                assert part, "the stream ended"
                received += part
                names = received.count(b"event: pipeline:status")
        assert server._sockets.hub.clients_dropped == 0
        assert len(pipelines) == PIPELINES


@pytest.mark.parametrize("transports", ["websocket", "polling", "default"])
def test_the_stock_javascript_client_gets_every_state_on_its_first_connection(transports: str) -> None:
    with large_service() as (server, pipelines):
        command = ["node", str(WATCH), f"http://{HOST}:{server.socket_port}", "/pipeline", transports]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            payloads: list[JsonDict] = []
            connects = 0
            for text in process.stdout:
                kind, *rest = json.loads(text)
                connects += kind == "connect"
                assert kind != "disconnect", rest
                if kind == "event":
                    payloads.append(rest[1])
                    if len(payloads) == 1:
                        work(pipelines)
                seen = {body["pipeline_id"]: body["seq"] for body in payloads}
                if seen == {pipeline.pipeline_id: pipeline.get()["seq"] for pipeline in pipelines}:
                    break
            process.stdin.close()
        assert connects == 1
        assert_whole(payloads, pipelines)
