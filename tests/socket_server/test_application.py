"""The application: error answers, transports, origins, and the stop."""

from __future__ import annotations

import json
import logging
import threading

import pytest
import requests

from rag_pipeline.common.config import Environment, Settings
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server.application import Application
from rag_pipeline.socket_server.eventlet_driver import loop as driver_loop
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import (
    POLLING_PATH,
    WEBSOCKET_PATH,
    PollingSession,
    RawWebSocket,
    WebSocketSession,
    new_pipeline,
    request,
    serving,
)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def direct(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# -- plain HTTP --------------------------------------------------------------------------------------------------------


NODE_ANSWERS = [
    ("GET", "/socket.io/", 400, 0, "Transport unknown"),
    ("GET", "/socket.io/?EIO=4", 400, 0, "Transport unknown"),
    ("GET", "/socket.io/?EIO=4&transport=abc", 400, 0, "Transport unknown"),
    ("GET", "/socket.io/?EIO=4&transport=polling&sid=nobody", 400, 1, "Session ID unknown"),
    ("POST", "/socket.io/?EIO=4&transport=polling&sid=nobody", 400, 1, "Session ID unknown"),
    ("POST", "/socket.io/?EIO=4&transport=polling", 400, 2, "Bad handshake method"),
    ("PUT", "/socket.io/?EIO=4&transport=polling", 400, 2, "Bad handshake method"),
    ("GET", "/socket.io/?transport=polling", 400, 5, "Unsupported protocol version"),
    ("GET", "/socket.io/?EIO=3&transport=polling", 400, 5, "Unsupported protocol version"),
    ("GET", "/socket.io/?EIO=abc&transport=websocket", 400, 5, "Unsupported protocol version"),
]


@pytest.mark.parametrize(("method", "path", "status", "code", "message"), NODE_ANSWERS)
def test_an_invalid_request_gets_the_answer_of_socket_ios_own_server(
    pipeline: PipelineStatus, direct: bool, method: str, path: str, status: int, code: int, message: str
) -> None:
    with serving(pipeline, direct=direct) as server:
        got, headers, body = request(server.socket_port, path, method, Origin="http://localhost:3000")
    assert got == status
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "http://localhost:3000"
    assert json.loads(body) == {"code": code, "message": message}
    assert ("allow" in headers) is (code == 2)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("query", ["", "?EIO=4&transport=polling&sid=nobody"])
def test_an_unsupported_method_gets_405_and_the_allowed_methods(
    pipeline: PipelineStatus, direct: bool, method: str, query: str
) -> None:
    with serving(pipeline, direct=direct) as server:
        status, headers, _ = request(server.socket_port, f"/socket.io/{query}", method)
    assert status == 405
    assert headers["allow"] == "GET, POST, OPTIONS"


# -- transports --------------------------------------------------------------------------------------------------------


def test_websocket_alone(pipeline: PipelineStatus, direct: bool) -> None:
    with serving(pipeline, transports=("websocket",), direct=direct) as server:
        assert request(server.socket_port, POLLING_PATH)[0] == 400
        with WebSocketSession(server.socket_port) as client:
            client.follow(pipeline)


def test_polling_alone(pipeline: PipelineStatus) -> None:
    with serving(pipeline, transports=("polling",)) as server:
        with RawWebSocket(server.socket_port) as refused:
            assert refused.answer.startswith(b"HTTP/1.1 400 ")
        with PollingSession(server.socket_port) as client:
            assert client.open["upgrades"] == []
            for path in (WEBSOCKET_PATH, POLLING_PATH):
                with RawWebSocket(server.socket_port, path=f"{path}&sid={client.open['sid']}") as refused:
                    assert refused.answer.startswith(b"HTTP/1.1 400 ")
            client.follow(pipeline)


def test_an_unknown_transport_stops_the_start() -> None:
    with pytest.raises(
        ConfigurationError, match=r"SOCKET_IO_TRANSPORTS='websocket,carrier-pigeon'.*websocket, polling"
    ):
        Settings.from_env({"SOCKET_IO_TRANSPORTS": "websocket,carrier-pigeon"})


# -- origins -----------------------------------------------------------------------------------------------------------

DEVELOPMENT, PRODUCTION = Environment.DEVELOPMENT, Environment.PRODUCTION
CONFIGURED = ("https://app.example.com", "http://10.0.0.5:8080")
MATRIX = [
    (DEVELOPMENT, (), "http://localhost:3000", True),
    (DEVELOPMENT, (), "https://localhost:3000", True),
    (DEVELOPMENT, (), "http://127.0.0.1:3000", True),
    (DEVELOPMENT, (), "http://localhost:3001", False),
    (DEVELOPMENT, (), "http://evil.example", False),
    (DEVELOPMENT, (), "http://localhost:3000.evil.example", False),
    (DEVELOPMENT, (), "null", False),
    (DEVELOPMENT, CONFIGURED, "https://app.example.com", True),
    (DEVELOPMENT, CONFIGURED, "http://app.example.com", False),
    (DEVELOPMENT, ("*",), "https://anything.example", True),
    (DEVELOPMENT, ("*",), "null", True),
    (PRODUCTION, (), "http://localhost:3000", False),
    (PRODUCTION, (), "https://app.example.com", False),
    (PRODUCTION, CONFIGURED, "https://app.example.com", True),
    (PRODUCTION, CONFIGURED, "http://10.0.0.5:8080", True),
    (PRODUCTION, CONFIGURED, "http://10.0.0.5", False),
    (PRODUCTION, CONFIGURED, "http://localhost:3000", False),
]


@pytest.mark.parametrize(("environment", "origins", "origin", "allowed"), MATRIX)
def test_both_transports_allow_the_same_origins(
    pipeline: PipelineStatus, environment: Environment, origins: tuple[str, ...], origin: str, allowed: bool
) -> None:
    with serving(pipeline, environment=environment, origins=origins) as server:
        status, headers, _ = request(server.socket_port, POLLING_PATH, Origin=origin)
        assert status == (200 if allowed else 400)
        assert headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "access-control-allow-credentials" not in headers
        with RawWebSocket(server.socket_port, f"Origin: {origin}") as client:
            assert client.answer.startswith(b"HTTP/1.1 101 " if allowed else b"HTTP/1.1 400 ")
        preflight, headers, _ = request(
            server.socket_port,
            POLLING_PATH,
            "OPTIONS",
            Origin=origin,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type",
        )
        assert preflight == (200 if allowed else 400)
        assert ("access-control-allow-origin" in headers) is allowed
        assert "access-control-allow-credentials" not in headers


def test_answers_vary_by_origin_and_are_not_cached(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        _, headers, _ = request(server.socket_port, POLLING_PATH, Origin="http://localhost:3000")
        assert headers["vary"] == "Origin"
        assert headers["cache-control"] == "no-store"


def test_a_refused_origin_is_logged_once(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    with serving(pipeline, direct=direct) as server:
        for origin in ("http://evil.example", "http://worse.example", "http://evil.example"):
            request(server.socket_port, POLLING_PATH, Origin=origin)
            with RawWebSocket(server.socket_port, f"Origin: {origin}"):
                pass
    records = [
        r for r in caplog.records if "evil.example" in r.getMessage() and r.name.startswith("rag_pipeline.origins")
    ]
    assert len(records) == 1
    assert records[0].levelno == logging.WARNING
    assert "SOCKET_IO_CORS_ORIGIN" in records[0].getMessage()
    if direct:
        assert len([r for r in caplog.records if "evil.example" in r.getMessage()]) == 1


def test_production_without_origins_is_logged_once(pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture) -> None:
    with serving(pipeline, environment=PRODUCTION):
        pass
    assert len([r for r in caplog.records if "SOCKET_IO_CORS_ORIGIN" in r.getMessage()]) == 1


@pytest.mark.parametrize(
    ("host", "proto", "origin", "allowed"),
    [
        ("status.example.com", "https", "https://status.example.com", True),
        ("status.example.com", None, "http://status.example.com", True),
        ("status.example.com", None, "https://status.example.com", False),
        ("status.example.com", "https", "https://other.example.com", False),
        ("status.example.com:8443", "https", "https://status.example.com:8443", True),
        ("status.example.com", "https, http", "https://status.example.com", True),
    ],
)
def test_the_same_origin_is_allowed_behind_a_proxy_that_ends_tls(
    pipeline: PipelineStatus, host: str, proto: str | None, origin: str, allowed: bool
) -> None:
    headers = {"Host": host, "Origin": origin} | ({"X-Forwarded-Proto": proto} if proto else {})
    with serving(pipeline, environment=PRODUCTION, allowed_hosts=("status.example.com",)) as server:
        assert (request(server.socket_port, POLLING_PATH, "GET", None, **headers)[0] == 200) is allowed


def test_a_client_without_an_origin_may_connect(pipeline: PipelineStatus) -> None:
    with serving(pipeline, environment=PRODUCTION) as server, WebSocketSession(server.socket_port) as client:
        client.follow(pipeline)


@pytest.mark.slow
def test_a_client_between_two_polls_gets_its_waiting_packets_at_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver_loop, "STOP_STEP_SECONDS", 30)  # time for the test's thread
    close_clients, closed = Application.close_clients, threading.Event()

    def close_and_signal(application: Application) -> None:
        close_clients(application)
        closed.set()

    monkeypatch.setattr(Application, "close_clients", close_and_signal)
    pipeline = PipelineStatus("local_files", "goodbye-polls")
    with StatusServer(Settings(http_port=0, socket_port=0), pipelines=[pipeline]).start() as server:
        address = f"http://127.0.0.1:{server.socket_port}/socket.io/?EIO=4&transport=polling"
        session = requests.Session()
        sid = json.loads(session.get(address, timeout=60).text[1:])["sid"]
        session.post(f"{address}&sid={sid}", data="40/pipeline,", timeout=60)
        came = session.get(f"{address}&sid={sid}", timeout=60).text
        while "pipeline:status" not in came:
            came += session.get(f"{address}&sid={sid}", timeout=60).text
        for number in range(40):
            pipeline.add_processing_file(f"f{number}")
        pipeline.update(status="stopped")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert closed.wait(60)  # an earlier poll would take the events
        packets: list[str] = []
        while packets[-1:] != ["1"]:
            packets += session.get(f"{address}&sid={sid}", timeout=60).text.split("\x1e")
        stopping.join(60)
    assert sum("file_processing_started" in packet for packet in packets) == 40
    assert '"status":"stopped"' in packets[-2]


def test_a_packet_that_is_not_json_ends_the_session_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with StatusServer(
        Settings(http_port=0, socket_port=0), pipelines=[PipelineStatus("local_files", "no-json")]
    ).start() as server:
        address = f"http://127.0.0.1:{server.socket_port}/socket.io/?EIO=4&transport=polling"
        sid = json.loads(requests.get(address, timeout=60).text[1:])["sid"]
        requests.post(f"{address}&sid={sid}", data='40/pipeline,{"a":', timeout=60)
        assert requests.get(f"{address}&sid={sid}", timeout=60).status_code == 400
    assert [r for r in caplog.records if r.exc_info or r.levelno > logging.INFO] == []
