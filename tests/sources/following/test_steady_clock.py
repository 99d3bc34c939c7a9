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
    """The system's clock, which can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def fail_once(run: Following) -> None:
    """Have a file fail to be read, and be well again."""

    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    run.test.extractor.before = fail
    run.source.write("a", "one")
    run.wait(lambda: run.state()["total_failed"] == 1)
    run.test.extractor.before = lambda: None


def test_a_failed_file_is_tried_again_in_time_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 0.5)
    with following(tmp_path) as run:
        fail_once(run)
        clock.ahead = -TEN_HOURS
        run.wait(lambda: run.state()["total_processed"] == 1)


def test_no_try_is_spent_because_the_clock_was_set_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(job_runner, "RETRY_SECONDS", 600.0)
    with following(tmp_path) as run:
        fail_once(run)
        clock.ahead = TEN_HOURS
        for _ in range(3):
            run.wait_look()
        assert run.attempts().total_failed == 1
        assert run.state()["total_processed"] == 0


def test_after_a_restart_no_time_that_was_kept_is_waited_for(tmp_path: Path) -> None:
    with following(tmp_path, start=False) as run:
        run.source.write("a", "one")
        failed = LedgerRow(
            run.source.files["a"].version, Outcome.FAILED, None, "r1", 3, "down", time.time() + 1e9, "a.txt"
        )
        run.ledger.put("a", failed)
        run.thread.start()
        run.wait(lambda: run.state()["total_processed"] == 1)
        assert run.store.texts() == {"a": ["one"]}


def test_a_clock_that_was_set_back_does_not_keep_new_files_waiting(tmp_path: Path, clock: Clock) -> None:
    store = MemoryStore()
    with following(tmp_path, store) as run:
        clock.ahead = -TEN_HOURS
        run.source.write("a", "one")
        run.wait(lambda: run.state()["total_processed"] == 1)


def test_the_steady_clock_runs_with_the_monotonic_one(clock: Clock) -> None:
    assert steady_now() == pytest.approx(time.time(), abs=5.0)
    before = steady_now()
    clock.ahead = -TEN_HOURS
    assert 0 <= steady_now() - before < 5.0
