from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import sys
import threading

import pytest

from rag_pipeline.common import native
from tests.support.interrupts import interrupted
from tests.support.waiting import wait_until


def readable(fd: int, seconds: float = 0) -> bool:
    return bool(select.select([fd], [], [], seconds)[0])


def test_a_thread_runs_and_is_joined() -> None:
    go, seen = native.Future(), []
    thread = native.start_thread(lambda: seen.append((go.wait(60), threading.current_thread().name)), "worker")
    assert not thread.join(0)
    go.set()
    assert thread.join(60)
    assert thread.join(0)
    assert seen == [(True, "worker")]
    assert thread.ident != native.get_ident()


def test_an_unjoined_thread_does_not_keep_the_process_alive() -> None:
    script = "from rag_pipeline.common import native\nnative.start_thread(lambda: native.Future().wait(60), 'w')"
    subprocess.run([sys.executable, "-c", script], timeout=20, check=True)


def test_a_future_is_set_once() -> None:
    shot = native.Future()
    assert not shot.wait(0)
    assert shot.value is None
    shot.set("first")
    shot.set("second")
    assert shot.wait(0)
    assert shot.value == "first"


@pytest.mark.slow
def test_a_future_works_with_many_setters_and_waiters() -> None:
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    results: list[object] = []

    def look(shot: native.Future) -> None:
        assert shot.wait(60)
        results.append(shot.value)

    try:
        for _ in range(200):
            shot = native.Future()
            threads = [threading.Thread(target=look, args=(shot,)) for _ in range(3)]
            threads += [threading.Thread(target=shot.set, args=(n,)) for n in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert len(set(results)) == 1
            assert results == [shot.value] * 3
            results.clear()
    finally:
        sys.setswitchinterval(switch)


@pytest.mark.slow
@pytest.mark.parametrize("eventfd", [True, False])
def test_a_wake_up_fd_is_readable_from_signal_to_clear(eventfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not eventfd:
        monkeypatch.delattr(os, "eventfd")
    wake_up = native.WakeUpFd()
    wake_up.clear()
    assert not readable(wake_up.fd)
    for _ in range(100_000 if eventfd else 10_000):
        wake_up.signal()  # never waits, even if a pipe is full
        if not eventfd and readable(wake_up.fd):
            break
    assert readable(wake_up.fd)
    wake_up.clear()
    assert not readable(wake_up.fd)
    wake_up.close()
    wake_up.close()


def test_a_closed_wake_up_fd_never_touches_a_reused_descriptor() -> None:
    wake_up = native.WakeUpFd()
    wake_up.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert wake_up.fd in (ours.fileno(), theirs.fileno())  # the number was reused
        ours.send(b"for them")
        theirs.send(b"for us")
        wake_up.signal()
        wake_up.clear()
        assert (ours.recv(99), theirs.recv(99)) == (b"for us", b"for them")


def test_send_returns_the_bytes_sent_and_detects_a_broken_connection() -> None:
    ours, theirs = socket.socketpair()

    def send(data: bytes) -> int:
        return int(native.send(ours.fileno(), data, len(data), native.SEND_FLAGS))

    with ours, theirs:
        assert send(b"hello") == 5
        while send(b"x" * 65536) > 0:
            pass
        assert send(b"x") == -1
        assert not native.send_failed()
        theirs.close()
        wait_until(lambda: send(b"x") == -1 and native.send_failed())


PATCHED = """
import sys, time
late = sys.argv[1] == "after"
if late:
    from rag_pipeline.common import native
import eventlet
eventlet.monkey_patch()
if not late:
    from rag_pipeline.common import native
shot, idents = native.Future(), []
wake_up = native.WakeUpFd()
def work():
    idents.append(native.get_ident())
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    wake_up.signal()
    shot.set("done")
thread = native.start_thread(work, "worker")
assert shot.wait(60), "a green lock would never be released while this thread waits"
assert thread.join(60)
assert idents[0] != native.get_ident(), "a greenlet, not a thread"
with native.RLock(), native.RLock():
    pass
wake_up.clear()
wake_up.close()
print(shot.value)
"""


@pytest.mark.slow
@pytest.mark.parametrize("imported", ["before", "after"])
def test_threads_stay_native_in_a_monkey_patched_host(imported: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PATCHED, imported],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("done", 0), done.stderr


def test_an_ended_thread_is_not_enumerated() -> None:
    seen: list[str] = []

    def work() -> None:
        seen.extend(thread.name for thread in threading.enumerate())

    assert native.start_thread(work, "short-lived").join(60)
    assert "short-lived" in seen
    assert "short-lived" not in [thread.name for thread in threading.enumerate()]


def test_a_signal_ends_the_current_or_next_wait_once() -> None:
    signal = native.AutoResetEvent()
    assert not signal.wait(0)
    signal.signal()
    signal.signal()
    assert signal.wait(0)
    assert not signal.wait(0)
    signal.signal()
    signal.clear()
    assert not signal.wait(0)
    ended: list[bool] = []
    thread = native.start_thread(lambda: ended.append(signal.wait(30)), "waiter")
    signal.signal()
    assert thread.join(30)
    assert ended == [True]
    signal.close()


def test_a_signal_in_a_forked_child_does_not_wake_the_parent() -> None:
    wake_up = native.WakeUpFd()
    pid = os.fork()
    if pid == 0:
        wake_up.signal()
        os._exit(0 if readable(wake_up.fd) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not readable(wake_up.fd)
    wake_up.signal()
    assert readable(wake_up.fd)
    wake_up.close()


@pytest.mark.slow
@pytest.mark.usefixtures("bare_hooks")
def test_a_thread_runs_even_if_an_exception_hits_its_starter() -> None:
    rng = random.Random(1)
    ran: list[int] = []
    threads: list[native.NativeThread] = []

    def start() -> None:
        while len(threads) < 20:
            threads.append(native.start_thread(lambda: ran.append(1), "started"))

    for _ in range(100):
        interrupted(start, rng, within_seconds=0.001, times=3)
        for thread in threads:
            assert thread.join(30)
        assert len(ran) >= len(threads)
        threads.clear()
        ran.clear()
