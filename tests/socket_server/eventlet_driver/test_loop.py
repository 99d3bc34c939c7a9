"""The eventlet driver: callbacks, timers and HTTP on a native thread of its own."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from rag_pipeline.common import native
from rag_pipeline.common.descriptors import DescriptorBudget
from rag_pipeline.common.listener import open_listener
from rag_pipeline.socket_server.eventlet_driver import http as driver_http
from rag_pipeline.socket_server.eventlet_driver.loop import EventletLoop
from rag_pipeline.socket_server.loop import CONNECTION, Cancellable, Environ
from tests.socket_server.support import exchange, request, wait_until


class Driven:
    """A loop that serves on a thread; ``run`` calls a function there."""

    def __init__(self, limit: int = 1000) -> None:
        self.loop = EventletLoop(DescriptorBudget(lambda: limit).share(0))
        self.wake = native.WakeUpFd()
        self.todo: list[Callable[[], None]] = []
        self.drained = 0
        self.next_drain: float | None = None
        self.ended: list[str] = []
        self.app: Callable[[Environ, Any], Iterable[bytes]] = self.hello
        listener = open_listener("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.thread = threading.Thread(
            target=lambda: self.loop.serve(listener, self, self.wake.fd, self.drain),
            daemon=True,
        )
        self.thread.start()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        return self.app(environ, start_response)

    def make_room(self) -> bool:
        return False

    def close_clients(self) -> None:
        self.ended.append("close_clients")

    def has_waiting_clients(self) -> bool:
        """True for the first call, as if a client came back soon."""
        self.ended.append("has_waiting_clients")
        return self.ended.count("has_waiting_clients") == 1

    def abort_clients(self) -> None:
        self.ended.append("abort_clients")

    def hello(self, _environ: Environ, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def drain(self) -> float | None:
        self.wake.clear()
        self.drained += 1
        while self.todo:
            self.todo.pop(0)()
        wait, self.next_drain = self.next_drain, None
        return wait

    def run(self, function: Callable[[], Any]) -> Any:
        result: list[Any] = []
        self.todo.append(lambda: result.append(function()))
        self.wake.signal()
        wait_until(lambda: bool(result))
        return result[0]

    def stop(self) -> None:
        self.todo.append(self.loop.stop)
        self.wake.signal()
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def driven() -> Iterator[Driven]:
    made = Driven()
    yield made
    if made.thread.is_alive():
        made.stop()
    made.wake.close()


def test_it_answers_http(driven: Driven) -> None:
    assert request(driven.port, "/")[::2] == (200, "hello")


def test_a_read_callback_is_called_until_it_is_cancelled(driven: Driven) -> None:
    ours, theirs = socket.socketpair()
    got: list[bytes | None] = []
    watch: Cancellable = driven.run(
        lambda: driven.loop.watch_read(ours.fileno(), lambda: got.append(native.recv_nowait(ours.fileno(), 100)))
    )
    for part in (b"one", b"two"):
        theirs.sendall(part)
        wait_until(lambda p=part: p in got)  # type: ignore[misc]
    driven.run(watch.cancel)
    driven.run(watch.cancel)
    theirs.sendall(b"three")
    driven.run(lambda: None)
    assert b"three" not in got
    ours.close()
    theirs.close()


def test_a_write_callback_is_called_when_the_socket_is_writable(driven: Driven) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    while native.send(ours.fileno(), b"x" * 10_000, 10_000, native.SEND_FLAGS) > 0:
        pass
    called = threading.Event()
    watch: Cancellable = driven.run(lambda: driven.loop.watch_write(ours.fileno(), called.set))
    assert not called.is_set()
    theirs.setblocking(False)
    try:
        while theirs.recv(1 << 20):
            pass
    except BlockingIOError:
        pass
    assert called.wait(60)
    driven.run(watch.cancel)
    ours.close()
    theirs.close()


def test_an_error_in_a_callback_is_logged_and_the_loop_continues(
    driven: Driven, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    driven.run(lambda: driven.loop.call_later(0, lambda: os.fsencode(None)))  # type: ignore[arg-type]
    wait_until(lambda: any("callback" in r.getMessage() for r in caplog.records))
    assert request(driven.port, "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_timer_fires_once_and_a_cancelled_one_never(driven: Driven) -> None:
    fired: list[str] = []
    # Cancelled on the loop in the same turn: cancelled from here, it might have fired already.
    driven.run(lambda: driven.loop.call_later(0.01, lambda: fired.append("cancelled")).cancel())
    driven.run(lambda: driven.loop.call_later(0.02, lambda: fired.append("fired")))
    wait_until(lambda: bool(fired))
    assert fired == ["fired"]


def test_drain_is_called_again_after_the_time_it_returned(driven: Driven) -> None:
    before = driven.drained

    def ask() -> None:
        driven.next_drain = 0.05

    driven.run(ask)
    wait_until(lambda: driven.drained >= before + 2)


def test_a_drain_that_fails_is_logged_and_tried_again(driven: Driven, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("the disk is on fire")

    driven.todo.append(fail)
    driven.wake.signal()
    wait_until(lambda: any("callback" in r.getMessage() for r in caplog.records))
    before = driven.drained
    wait_until(lambda: driven.drained > before)


def test_a_detached_socket_belongs_to_the_caller_only(driven: Driven) -> None:
    kept: list[int] = []

    def app(environ: Environ, _start: Any) -> list[bytes]:
        kept.append(environ[CONNECTION].detach().fd)
        return []

    driven.app = app
    with socket.create_connection(("127.0.0.1", driven.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: bool(kept))
        assert request_of(driven, kept[0]) == 3
        assert client.recv(100) == b"raw"
        native.hang_up(kept[0])
        assert client.recv(100) == b""


def request_of(driven: Driven, fd: int) -> int:
    sent: int = driven.run(lambda: native.send(fd, b"raw", 3, native.SEND_FLAGS))
    return sent


def test_an_error_in_the_application_gets_500_without_a_traceback(
    driven: Driven, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def app(_environ: Environ, _start: Any) -> list[bytes]:
        raise ValueError("secret")

    driven.app = app
    answer = exchange(driven.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert "Traceback" not in capfd.readouterr().err
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_stop_closes_then_aborts_clients_and_frees_port_and_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    driven = Driven()
    assert request(driven.port, "/")[0] == 200
    idle = socket.create_connection(("127.0.0.1", driven.port))
    driven.stop()
    assert driven.ended == ["close_clients", "has_waiting_clients", "has_waiting_clients", "abort_clients"]
    open_listener("127.0.0.1", driven.port).close()
    idle.close()
    driven.wake.close()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


def test_connections_have_tcp_nodelay(driven: Driven) -> None:
    kept: list[int] = []

    def app(environ: Environ, _start: Any) -> list[bytes]:
        fd = environ[CONNECTION].detach().fd
        with socket.socket(fileno=fd) as connection:
            kept.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return []

    driven.app = app
    exchange(driven.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept
    assert kept[0] != 0


def test_the_import_warns_nobody_and_patches_nothing() -> None:
    program = (
        "import socket, threading, _thread, time\n"
        "before = (socket.socket, threading.Thread.start, _thread.start_new_thread, time.sleep)\n"
        "import rag_pipeline.socket_server.eventlet_driver.loop\n"
        "assert before == (socket.socket, threading.Thread.start, _thread.start_new_thread, time.sleep)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_burst_of_signals_causes_few_drains(driven: Driven) -> None:
    entered, release = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        release.wait(60)

    driven.todo.append(block)
    driven.wake.signal()
    assert entered.wait(60)
    before = driven.drained
    for _ in range(1000):
        driven.wake.signal()
    release.set()
    driven.run(lambda: None)
    assert driven.drained - before <= 2


def test_slow_headers_have_one_deadline(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_http, "REQUEST_TIMEOUT_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", driven.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        client.settimeout(0.05)
        deadline = time.monotonic() + 10
        while True:
            assert time.monotonic() < deadline, "the server waits for ever"
            try:
                client.sendall(b"x")
                if client.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
