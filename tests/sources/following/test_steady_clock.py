from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from rag_pipeline.sources.following import job_runner
from rag_pipeline.sources.following.steady_clock import steady_now
from rag_pipeline.sources.ledger import LedgerRow, Outcome
from tests.sources.following.memory_source import Following, following
from tests.sources.memory_stages import MemoryStore

TEN_HOURS = 36_000.0


class Clock:
    """The system's clock; ``ahead`` sets it forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def fail_once(run: Following) -> None:
    """Make a file fail, then make it readable."""

    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    run.test.extractor.before = fail
    run.source.write("a", "one")
    run.wait(lambda: run.state()["total_failed"] == 1)
    run.test.extractor.before = lambda: None


@pytest.mark.slow
def test_a_retry_is_on_time_although_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 0.5)
    with following(tmp_path) as run:
        fail_once(run)
        clock.ahead = -TEN_HOURS
        run.wait(lambda: run.state()["total_processed"] == 1)


def test_a_clock_set_forward_triggers_no_retry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 600.0)
    with following(tmp_path) as run:
        fail_once(run)
        clock.ahead = TEN_HOURS
        for _ in range(3):
            run.wait_scan()
        assert run.attempts().total_failed == 1
        assert run.state()["total_processed"] == 0


def test_a_restart_retries_at_once(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("a", "one")
        failed = LedgerRow(
            run.source.files["a"].version, Outcome.FAILED, None, "r1", 3, "down", time.time() + 1e9, "a.txt"
        )
        run.ledger.put("a", failed)
        run.thread.start()
        run.wait(lambda: run.state()["total_processed"] == 1)
        assert run.store.texts() == {"a": ["one"]}


def test_a_clock_set_back_does_not_delay_new_files(tmp_path: Path, clock: Clock) -> None:
    store = MemoryStore()
    with following(tmp_path, store) as run:
        clock.ahead = -TEN_HOURS
        run.source.write("a", "one")
        run.wait(lambda: run.state()["total_processed"] == 1)


def test_the_steady_clock_follows_the_monotonic_clock(clock: Clock) -> None:
    assert steady_now() == pytest.approx(time.time(), abs=5.0)
    before = steady_now()
    clock.ahead = -TEN_HOURS
    assert 0 <= steady_now() - before < 5.0
