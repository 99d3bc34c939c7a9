"""The eventlet driver: callbacks, timers and HTTP on a native thread of its own."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import pytest

from rag_pipeline.common import native
from rag_pipeline.common.listener import open_listener
from rag_pipeline.socket_server.loop import CONNECTION, Cancellable, Environ
from tests.socket_server.eventlet_driver.driven import Driven
from tests.socket_server.support import request, wait_until


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


@pytest.mark.slow
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


@pytest.mark.slow
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
