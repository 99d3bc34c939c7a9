from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator

import pytest

from rag_pipeline import StatusServer, start_status_server
from rag_pipeline.cli import health
from rag_pipeline.common.config import AuthSettings, Settings


@pytest.fixture(scope="module")
def server() -> Iterator[StatusServer]:
    with start_status_server(0, pipelines=[]) as running:
        yield running


@pytest.fixture
def dead() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
        return port


def run(http_port: int, socket_port: int) -> int:
    parser = argparse.ArgumentParser()
    health.add_arguments(parser)
    ports = ["--http-port", str(http_port), "--socket-port", str(socket_port)]
    return health.run(parser.parse_args([*ports, "--host", "127.0.0.1", "--timeout", "3"]))


def test_a_running_service_is_healthy(server: StatusServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server.http_port, server.socket_port) == 0
    assert capsys.readouterr().err == ""


def test_each_unreachable_server_is_named_in_one_line(
    server: StatusServer, dead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(dead, server.socket_port) == 1
    assert (
        capsys.readouterr().err
        == f"rag-pipeline: error: the HTTP server on port {dead} is not healthy: Connection refused\n"
    )
    assert run(server.http_port, dead) == 1
    assert f"the Socket.IO server on port {dead} is not healthy: Connection refused\n" in capsys.readouterr().err


def test_a_server_that_never_answers_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        problems = health.check("127.0.0.1", port, port, timeout_seconds=0.2)
    assert [problem.endswith("no answer within 0.2 seconds") for problem in problems] == [True, True]


def test_no_token_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(http_port=0, socket_port=0, auth=AuthSettings(tokens=("a-token-of-the-house",)))
    with StatusServer(settings, pipelines=[]).start() as guarded:
        assert run(guarded.http_port, guarded.socket_port) == 0
        assert "both servers answer" in capsys.readouterr().out
        guarded._sockets.stop()
        assert run(guarded.http_port, guarded.socket_port) == 1
        assert "Socket.IO server" in capsys.readouterr().err
