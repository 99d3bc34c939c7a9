"""Runs ``rag-pipeline serve`` as a process."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import PipelineStatus, StatusServer
from rag_pipeline.cli.serve import addresses
from rag_pipeline.errors import ExitCode
from rag_pipeline.service import start_status_server
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.support.http_get import get_json
from tests.support.ports import taken_port
from tests.support.programs import Program, run
from tests.support.waiting import wait_until
from tests.verify import Watcher

pytestmark = pytest.mark.slow

SERVE = ("-m", "rag_pipeline", "serve", "--port", "0")
STATUS_URL = r"http://127\.0\.0\.1:(\d+)/status"
SOCKET_URL = r"http://127\.0\.0\.1:(\d+)/pipeline"


def test_the_addresses_are_those_of_both_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS_HOST", "0.0.0.0")
    with start_status_server(0, pipelines=[]) as server:
        assert addresses(server).split("\n") == [
            f"Dashboard  http://127.0.0.1:{server.http_port}/",
            f"Status     http://127.0.0.1:{server.http_port}/status",
            f"Health     http://127.0.0.1:{server.http_port}/health",
            f"Socket.IO  http://127.0.0.1:{server.socket_port}/google_drive",
            f"Socket.IO  http://127.0.0.1:{server.socket_port}/local_files",
            f"Socket.IO  http://127.0.0.1:{server.socket_port}/pipeline",
        ]


@contextmanager
def publishing(url: str, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    """Publish a pipeline to Redis, as a program with an embedded service does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATUS_REDIS_URL", url)
        server = start_status_server(0, pipelines=[pipeline])
    with server:
        yield server


@contextmanager
def claiming_to_be(version: str) -> Iterator[str]:
    """Yield the URL of a server that claims to be a Redis of this version and answers OK to everything else."""
    info = f"redis_version:{version}\r\nredis_mode:standalone"
    answer = f"${len(info)}\r\n{info}\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        while request := connection.recv(4096):
                            connection.sendall(answer if b"INFO" in request else b"+OK\r\n")
            except OSError:
                pass  # the listener or a client is closed

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def statuses(watcher: Watcher, namespace: str) -> list[dict[str, Any]]:
    """Return the ``pipeline:status`` events so far."""
    return [i.arguments[0] for i in watcher.received(namespace) if i.name == "pipeline:status"]


@needs_redis
def test_serve_shows_only_what_others_publish(tmp_path: Path) -> None:
    one, two = PipelineStatus("local_files", "one"), PipelineStatus("google_drive", "two")
    with running(tmp_path) as redis, Program(*SERVE, env={"STATUS_REDIS_URL": redis.url}) as program:
        program.expect("Press Ctrl")
        port = int(program.expect(STATUS_URL))
        assert get_json(port, "/status").body == {"pipelines": {}}
        assert get_json(port, "/health").body["pipelines"] == {}
        with Watcher(f"http://127.0.0.1:{program.expect(SOCKET_URL)}", ["websocket"]) as watcher:
            wait_until(lambda: statuses(watcher, "/pipeline"))
            assert statuses(watcher, "/pipeline")[0]["pipeline_id"] is None
            with publishing(redis.url, one), publishing(redis.url, two):
                one.complete_file("a.pdf")
                two.complete_file("b.pdf")
                wait_until(lambda: watcher.counts("/pipeline")["pipeline:file_completed"] == 2)
                assert watcher.counts("/local_files")["pipeline:file_completed"] == 1
                wait_until(lambda: get_json(port, "/status/one").body["total_processed"] == 1)
                assert set(get_json(port, "/status").body["pipelines"]) == {"one", "two"}
            assert statuses(watcher, "/pipeline")[-1]["pipeline_id"] is not None
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0
    assert program.output.splitlines()[-1] == "Press Ctrl+C to stop."


@needs_redis
def test_two_servers_show_the_same(tmp_path: Path) -> None:
    pipeline = PipelineStatus("local_files", "seen-by-two")
    with (
        running(tmp_path) as redis,
        publishing(redis.url, pipeline),
        Program(*SERVE, env={"STATUS_REDIS_URL": redis.url}) as first,
        Program(*SERVE, env={"STATUS_REDIS_URL": redis.url}) as second,
    ):
        ports = [int(program.expect(STATUS_URL)) for program in (first, second)]
        pipeline.complete_file("a.pdf")
        for port in ports:
            wait_until(lambda port=port: get_json(port, "/status").body.get("total_processed") == 1)  # type: ignore[misc]


@needs_redis
def test_serve_starts_without_redis_and_recovers_once_it_runs(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path)
    pipeline = PipelineStatus("local_files", "late")
    with Program(*SERVE, env={"STATUS_REDIS_URL": redis.url}) as program:
        port = int(program.expect(STATUS_URL))
        program.expect(rf"WARNING Redis at 127\.0\.0\.1:{redis.port}/0 can't be reached")
        reply = get_json(port, "/health")
        assert (reply.status, reply.body["status"]) == (200, "degraded")
        assert "can't be reached" in reply.body["journal"]["error"]
        assert get_json(port, "/status").body == {"pipelines": {}}
        with Watcher(f"http://127.0.0.1:{program.expect(SOCKET_URL)}", ["websocket"]) as watcher:
            wait_until(lambda: statuses(watcher, "/pipeline"))
            try:
                redis.start()
                wait_until(lambda: get_json(port, "/health").body["status"] == "ok")
                with publishing(redis.url, pipeline):
                    pipeline.complete_file("a.pdf")
                    wait_until(lambda: watcher.counts("/pipeline")["pipeline:file_completed"] == 1)
                    assert watcher.connected
                    wait_until(lambda: get_json(port, "/status/late").body.get("total_processed") == 1)
                warned = [line for line in program.output.splitlines() if "can't be reached" in line]
            finally:
                redis.kill()
        program.signal(signal.SIGINT)
        assert program.exit_code() == 0
    # Each thread that needs Redis says it once, however often it tries.
    assert len(warned) <= 2
    assert "Traceback" not in program.output


def serve_is_refused(env: dict[str, str], said: str, code: ExitCode) -> str:
    """Assert that ``serve`` ends at once with one line; return it."""
    done = run("-W", "error", *SERVE, env=env)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("rag-pipeline: error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_serve_without_a_redis_url_is_an_error(tmp_path: Path) -> None:
    serve_is_refused({"STATUS_STATE_DIR": str(tmp_path / "state")}, "STATUS_REDIS_URL is not set", ExitCode.USAGE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://localhost", "redis://", "redis://localhost/x", "localhost:6379"])
def test_a_bad_redis_url_is_one_line_and_exit_code_2(url: str) -> None:
    serve_is_refused({"STATUS_REDIS_URL": url}, "STATUS_REDIS_URL: ", ExitCode.USAGE)


@needs_redis
def test_a_wrong_password_is_one_line_that_does_not_repeat_it_and_exit_code_5(tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", "sesame") as redis:
        serve_is_refused({"STATUS_REDIS_URL": redis.url}, "refused the login", ExitCode.STATE)
        url = redis.url.replace("//", "//:poppy@")
        assert "poppy" not in serve_is_refused({"STATUS_REDIS_URL": url}, "refused the login", ExitCode.STATE)


def test_a_too_old_redis_is_one_line_and_exit_code_5() -> None:
    with claiming_to_be("6.2.14") as url:
        serve_is_refused({"STATUS_REDIS_URL": url}, "has version 6.2.14; the journal needs Redis 7", ExitCode.STATE)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--port", "abc"], "abc"), (["--socket-port", "70000"], "70000"), (["--host", "no such host"], "no such host")],
)
def test_a_wrong_option_of_serve_is_one_line_and_exit_code_2(arguments: list[str], named: str) -> None:
    with taken_port() as closed:
        pass
    done = run(*SERVE, *arguments, env={"STATUS_REDIS_URL": f"redis://127.0.0.1:{closed}"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.USAGE, "", 1)
    assert named in done.stderr


def test_a_taken_port_of_serve_is_one_line_and_exit_code_3() -> None:
    with taken_port() as closed:
        pass
    with taken_port() as port:
        done = run(*SERVE[:3], "--port", str(port), env={"STATUS_REDIS_URL": f"redis://127.0.0.1:{closed}"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.PORT_IN_USE, "", 1)
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
