"""Plain HTTP on the Socket.IO port: ``/health`` and errors."""

from __future__ import annotations

import json

import pytest

from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import PollingSession, WebSocketSession, new_pipeline, request, serving

pytestmark = pytest.mark.slow


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


def test_health_counts_the_clients(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as client:
        client.connect("/local_files")
        with PollingSession(server.socket_port):
            status, headers, body = request(server.socket_port, "/health")
    assert status == 200
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert json.loads(body) == {
        "status": "ok",
        "clients": {"total": 2, "/google_drive": 0, "/local_files": 1, "/pipeline": 2},
        "clients_dropped": 0,
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/status", 404),
        ("GET", "/socket.io", 404),
        ("POST", "/nothing", 404),
        ("POST", "/health", 405),
        ("DELETE", "/health", 405),
        ("HEAD", "/health", 200),
        ("GET", "/health/", 200),
        ("GET", "/%00" + "x" * 1000, 404),
        ("GET", "/socket.io/socket.io.js", 404),
        ("GET", "/socket.io/socket.io.min.js.map?v=1", 404),
    ],
)
def test_errors_are_json(pipeline: PipelineStatus, method: str, path: str, status: int) -> None:
    with serving(pipeline) as server:
        got, headers, body = request(server.socket_port, path, method)
    assert got == status
    assert headers["content-type"].startswith("application/json")
    if method == "HEAD":
        assert body == ""
    elif status != 200:
        assert list(json.loads(body)) == ["error"]
        assert len(body) < 400
    if status == 405:
        assert headers["allow"] == "GET, HEAD"
