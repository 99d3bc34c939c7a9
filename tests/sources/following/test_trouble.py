"""A failing dependency: it is shown with its cause and the next try, fails no file, and recovers."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import EmbeddingError, StoreError
from rag_pipeline.sources.following import circuit_breakers
from rag_pipeline.sources.ledger import Outcome
from rag_pipeline.status.control import Action
from tests.sources.following.memory_source import following

pytestmark = pytest.mark.slow

DOWN = EmbeddingError("the endpoint answered 401: no such key")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breakers, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(circuit_breakers, "MAX_WAIT_SECONDS", 0.4)


def test_a_failing_dependency_is_shown_with_its_next_try_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with following(tmp_path) as run:
        for number in range(8):
            run.source.write(f"f{number}", f"text {number}")
        run.wait_idle(processed=8)
        before = run.store.texts()
        run.test.embedder.error = DOWN
        for number in range(8):
            run.source.write(f"f{number}", f"new text {number}")
        run.wait_status("error")
        state = run.state()
        assert state["message"] == str(DOWN)
        assert datetime.fromisoformat(state["next_try_time"]).timestamp() > time.time() - 5
        scans = run.source.scans
        run.wait(lambda: run.source.scans >= scans + 5)  # scans go on
        run.wait(lambda: run.state()["files_queued"] + run.state()["files_in_flight"] == 8)
        assert (run.state()["status"], run.state()["total_failed"]) == ("error", 0)
        assert run.store.texts() == before
        assert all(row.attempts == 0 for row in run.rows().values())
        run.test.embedder.error = None
        run.wait_idle(processed=16)
        state = run.state()
        assert (state.get("message"), state.get("next_try_time"), state["total_failed"]) == (None, None, 0)
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and "401" in r.getMessage()]
    assert len(warned) == 1


def test_only_one_file_tries_while_a_dependency_fails(tmp_path: Path) -> None:
    tried: list[float] = []
    with following(tmp_path, workers=4) as run:
        run.wait_status("idle")
        under_way = threading.Semaphore(4)

        def embed() -> None:
            tried.append(time.monotonic())
            assert under_way.acquire(blocking=False)
            under_way.release()

        run.test.embedder.before = embed
        run.test.embedder.error = DOWN
        for number in range(50):
            run.source.write(f"f{number}", "text")
        run.wait(lambda: len(tried) >= 10)
        # Four start at once; then one at a time, with waits of 0.1, 0.2, 0.4, 0.4 … seconds.
        assert tried[9] - tried[3] >= 0.1 + 0.2 + 4 * 0.4 - 0.1
        run.test.embedder.error = None
        run.wait_idle(processed=50)


def test_deletions_and_renames_are_repeated_after_the_store_failed(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        for key in "abc":
            run.source.write(key, key)
        run.wait_idle(processed=3)
        run.store.error = StoreError("the disk is full")
        run.source.remove("a")
        run.source.rename("b", "renamed.txt")
        run.wait_status("error")
        assert run.state()["message"] == "the disk is full"
        assert sorted(run.rows()) == ["a", "b", "c"]
        run.store.error = None
        run.wait(lambda: sorted(run.store.texts()) == ["b", "c"] and run.rows()["b"].name == "renamed.txt")
        run.wait_status("idle")


def test_a_file_that_alone_is_refused_fails(tmp_path: Path) -> None:
    with following(tmp_path, workers=1) as run:
        run.wait_status("idle")

        def embed(*args: Any, **options: Any) -> Any:
            if args[0] == ["poison"]:
                raise EmbeddingError("answered 500, 6 times")
            return plain(*args, **options)

        plain, run.test.embedder.embed = run.test.embedder.embed, embed  # type: ignore[method-assign]
        run.source.write("a", "poison")
        for number in range(30):
            run.source.write(f"f{number}", "text")
        written = 30
        while "a" not in run.rows():
            written += 1
            run.source.write("f0", f"text {written}")
            run.wait(lambda: run.store.texts().get("f0") == [f"text {written}"])  # noqa: B023 - waited for at once
        row = run.rows()["a"]
        assert (row.outcome, row.reason) == (Outcome.FAILED, "answered 500, 6 times")
        run.wait_status("idle")


def test_a_single_pass_ends_with_the_error_of_the_dependency(tmp_path: Path) -> None:
    with following(tmp_path, single=True, workers=1, start=False) as run:
        for key in "abcdef":
            run.source.write(key, key)

        def embed(*args: Any, **options: Any) -> Any:
            if args[0] == ["c"]:
                raise DOWN
            return plain(*args, **options)

        plain, run.test.embedder.embed = run.test.embedder.embed, embed  # type: ignore[method-assign]
        run.thread.start()
        run.wait_over()
        assert run.error is DOWN
        assert sorted(run.store.texts()) == ["a", "b", "d", "e", "f"]
        assert (run.state()["status"], run.state()["message"]) == ("error", str(DOWN))
        run.error = None


def test_a_pause_hides_the_error_of_a_dependency(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.test.embedder.error = DOWN
        run.source.write("a", "text")
        run.wait_status("error")
        run.ask(Action.PAUSE)
        run.wait_status("paused")
        run.test.embedder.error = None
        run.ask(Action.RESUME)
        run.wait_idle(processed=1)


def test_the_breaker_closes_when_the_only_file_is_gone(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.test.embedder.error = DOWN
        run.source.write("a", "text")
        run.wait_status("error")
        run.source.remove("a")
        run.wait_status("idle")
        assert run.state().get("message") is None
