from __future__ import annotations

import os
import signal
import threading

import pytest

from rag_pipeline.common.stop_signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    with StopSignals() as signals:
        assert not signals.wait(0)
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        assert signals.wait(60)
        assert signals.received is number
        timer.join()


def test_a_signal_before_the_wait_counts_and_later_ones_change_nothing() -> None:
    with StopSignals() as signals:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert signals.wait(60)
        assert signals.wait(60)
        assert signals.received is signal.SIGTERM


def test_a_call_from_another_thread_ends_the_wait() -> None:
    with StopSignals() as signals:
        threading.Thread(target=signals.request).start()
        assert signals.wait(60)
        assert signals.received is None


def test_the_former_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopSignals():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_to_a_forked_child_ends_only_the_child() -> None:
    with StopSignals() as signals:
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert not signals.wait(0)
        assert signals.received is None
