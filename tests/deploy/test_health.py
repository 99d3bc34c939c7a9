"""The image's health check: 0 for a live service, 1 as soon as either server is dead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline import StatusServer, start_status_server
from tests.deploy.files import ROOT


def health(http_port: int, socket_port: int) -> tuple[int, str]:
    """Return the exit code and what the command said."""
    run = subprocess.run(
        [sys.executable, "-m", "rag_pipeline", "health"],
        cwd=ROOT,
        env={**os.environ, "STATUS_PORT": str(http_port), "SOCKET_IO_PORT": str(socket_port)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in run.stderr
    return run.returncode, run.stdout + run.stderr


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers: a process that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port that refuses connections: a process that is gone."""
    with silent_port() as port:
        return port


def test_a_live_service_is_healthy(server: StatusServer) -> None:
    code, output = health(server.http_port, server.socket_port)
    assert code == 0, output


def test_a_dead_http_server_is_unhealthy(server: StatusServer, closed_port: int) -> None:
    code, output = health(closed_port, server.socket_port)
    assert code == 1
    assert str(closed_port) in output


def test_a_dead_socket_server_is_unhealthy(server: StatusServer, closed_port: int) -> None:
    code, output = health(server.http_port, closed_port)
    assert code == 1
    assert str(closed_port) in output


@pytest.mark.slow
def test_a_hanging_http_server_is_unhealthy(server: StatusServer) -> None:
    with silent_port() as port:
        assert health(port, server.socket_port)[0] == 1


@pytest.mark.slow
def test_a_hanging_socket_server_is_unhealthy(server: StatusServer) -> None:
    with silent_port() as port:
        assert health(server.http_port, port)[0] == 1


def test_another_server_on_the_socket_port_is_unhealthy(server: StatusServer) -> None:
    assert health(server.http_port, server.http_port)[0] != 0


def test_a_stopped_service_is_unhealthy() -> None:
    server = start_status_server(0)
    ports = server.http_port, server.socket_port
    server.stop()
    assert health(*ports)[0] == 1
