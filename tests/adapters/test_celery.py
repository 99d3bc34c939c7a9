"""Runs real workers over a real Redis, and follows their services with a client."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.adapters.watched import Watched
from tests.journal.redis_server import RedisServer, needs_redis, running
from tests.support.http_get import get_json
from tests.support.ports import taken_port
from tests.support.programs import Program, run
from tests.support.waiting import wait_until
from tests.verify import Watcher

pytestmark = [pytest.mark.slow, needs_redis]

POOLS = {
    "prefork": ["--pool", "prefork", "--concurrency", "2"],
    "threads": ["--pool", "threads", "--concurrency", "2"],
    "solo": ["--pool", "solo"],
    "eventlet": ["--pool", "eventlet", "--concurrency", "2"],
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


class CeleryWorker:
    """A worker, a client that follows it, and an app that sends tasks."""

    def __init__(self, program: Program, port: int, watched: Watched, app: Any, queue: str) -> None:
        self.program = program
        self.port = port
        self.watched = watched
        self._app = app
        self._queue = queue

    def send(self, task: str, *args: Any, **options: Any) -> Any:
        return self._app.send_task(f"tests.adapters.celery_app.{task}", args, queue=self._queue, **options)

    def ends(self, number: int) -> list[tuple[str, str]]:
        """Wait until this many files have ended; return all ends."""
        wait_until(lambda: len(self.watched.ends) >= number, f"{number} ends, not {self.watched.ends}")
        return self.watched.ends


@contextmanager
def worker(redis: RedisServer, name: str, *options: str, env: dict[str, str] | None = None) -> Iterator[CeleryWorker]:
    """Run a worker with its own queue, and follow its service."""
    arguments = ["-m", "celery", "-A", "tests.adapters.celery_app", "worker", "-l", "INFO", "-n", f"{name}@test"]
    arguments += ["-Q", name, "--without-gossip", "--without-mingle", *options]
    settings = {"BROKER": redis.url, "STATUS_PORT": "0", "C_FORCE_ROOT": "1", **(env or {})}
    app = Celery("sender", broker=redis.url)
    with Program(*arguments, env=settings) as program:
        port = int(program.expect(r"is shown on http://127\.0\.0\.1:(\d+)"))
        socket_port = get_json(port, "/health").body["socket_io"]["port"]
        with Watcher(f"http://127.0.0.1:{socket_port}", ["websocket"]) as watcher:
            watched = Watched(watcher, f"{name}@test")
            wait_until(lambda: watched.events, "the first status")
            try:
                yield CeleryWorker(program, port, watched, app, name)
            finally:
                app.close()
                program.signal(signal.SIGTERM)
                program.exit_code()


@pytest.mark.parametrize("pool", POOLS)
def test_a_client_sees_files_stages_and_failures_live(redis: RedisServer, tmp_path: Path, pool: str) -> None:
    with worker(redis, f"live-{pool}", *POOLS[pool]) as one:
        gates = [tmp_path / "one", tmp_path / "two"]
        one.send("staged", "a.pdf", [str(gate) for gate in gates])
        for number, gate in enumerate(gates):
            one.watched.wait_for_stage("a.pdf", f"stage {number}")
            gate.touch()
        one.send("broken", "b.pdf")
        one.send("count", 7)
        one.send("ingest", "c.pdf")
        assert sorted(one.ends(3)) == [("a.pdf", "completed"), ("b.pdf", "failed"), ("c.pdf", "completed")]
        assert one.watched.end("b.pdf")["error"] == {
            "type": "PermissionError", "message": "b.pdf can't be read", "stage": "extracting", "retryable": False,
        }  # fmt: skip
        assert one.watched.end("c.pdf")["result"] == {"chunks": 3}
        assert one.watched.end("c.pdf")["id"] == "tests.adapters.celery_app.ingest:c.pdf"
        assert one.watched.state["status"] == "running"
        assert one.watched.state["pipeline_type"] == "celery"
        one.program.signal(signal.SIGTERM)
        one.watched.wait_for("stopped")
    assert one.watched.state["files_in_flight"] == 0


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_retry_is_a_failure_and_another_attempt(redis: RedisServer, pool: str) -> None:
    with worker(redis, f"retry-{pool}", *POOLS[pool]) as one:
        one.send("flaky", "a.pdf")
        assert one.ends(3) == [("a.pdf", "failed"), ("a.pdf", "failed"), ("a.pdf", "completed")]
        assert one.watched.end("a.pdf")["attempt"] == 3
        failed = [body["file"] for name, body in one.watched.events if name == "pipeline:file_failed"]
        assert [file["attempt"] for file in failed] == [1, 2]
        assert failed[0]["error"] == {
            "type": "ConnectionError", "message": "the model is away", "stage": None, "retryable": True,
        }  # fmt: skip


def test_children_report_to_one_pipeline(redis: RedisServer, tmp_path: Path) -> None:
    with worker(redis, "children", *POOLS["prefork"]) as one:
        for name in ("a.pdf", "b.pdf"):
            one.send("ingest", name, str(tmp_path / "gate"))
        wait_until(lambda: one.watched.state["files_in_flight"] == 2, "two at the same time")
        (tmp_path / "gate").touch()
        assert sorted(one.ends(2)) == [("a.pdf", "completed"), ("b.pdf", "completed")]


def test_hundreds_of_tasks_are_all_counted(redis: RedisServer) -> None:
    with worker(redis, "many", *POOLS["prefork"], "--max-tasks-per-child", "50") as one:
        for number in range(300):
            one.send("ingest", f"{number}.pdf")
        assert sorted(one.ends(300)) == sorted((f"{number}.pdf", "completed") for number in range(300))


def test_the_task_of_a_killed_process_fails(redis: RedisServer) -> None:
    with worker(redis, "lost", *POOLS["prefork"]) as one:
        one.send("dying", "a.pdf")
        one.send("leaving", "b.pdf")
        assert sorted(one.ends(2)) == [("a.pdf", "failed"), ("b.pdf", "failed")]
        assert one.watched.end("a.pdf")["error"]["type"] == "WorkerLostError"
        assert one.watched.end("b.pdf")["error"]["type"] == "SystemExit"
        one.send("ingest", "c.pdf")
        assert one.ends(3)[-1] == ("c.pdf", "completed")


def test_timed_out_and_revoked_tasks_fail(redis: RedisServer, tmp_path: Path) -> None:
    with worker(redis, "limits", *POOLS["prefork"]) as one:
        one.send("patient", "a.pdf")
        assert one.ends(1) == [("a.pdf", "failed")]
        assert one.watched.end("a.pdf")["error"]["message"] == "a.pdf took too long"
        one.send("endless", "b.pdf", time_limit=1)
        assert one.ends(2)[-1] == ("b.pdf", "failed")
        assert one.watched.end("b.pdf")["error"]["type"] == "TimeLimitExceeded"
        sent = one.send("endless", "c.pdf")
        wait_until(lambda: "c.pdf" in one.watched.started)
        sent.revoke(terminate=True)
        assert one.ends(3)[-1] == ("c.pdf", "failed")
        assert one.watched.end("c.pdf")["error"]["type"] == "Terminated"
        for number in range(2):
            one.send("ingest", f"{number}.pdf", str(tmp_path / "gate"))
        wait_until(lambda: one.watched.state["files_in_flight"] == 2)
        sent = one.send("ingest", "d.pdf")
        sent.revoke()
        one.send("ingest", "e.pdf", expires=datetime.now(UTC) - timedelta(seconds=5))
        one.program.expect(f"flagged as revoked: {sent.id}")
        (tmp_path / "gate").touch()
        assert sorted(one.ends(7)[3:]) == [
            ("0.pdf", "completed"), ("1.pdf", "completed"), ("d.pdf", "skipped"), ("e.pdf", "skipped"),
        ]  # fmt: skip
        reasons = {name: one.watched.end(name)["error"]["message"] for name in ("d.pdf", "e.pdf")}
        assert reasons == {"d.pdf": "revoked", "e.pdf": "expired"}


def test_ignored_tasks_are_skipped_and_rejected_ones_fail(redis: RedisServer) -> None:
    with worker(redis, "ignored", *POOLS["solo"]) as one:
        one.send("ignored", "a.pdf")
        one.send("rejected", "b.pdf")
        assert one.ends(2) == [("a.pdf", "skipped"), ("b.pdf", "failed")]
        error = {"type": "Reject", "message": "not for me", "stage": None, "retryable": False}
        assert one.watched.end("b.pdf")["error"] == error


def _is_done(port: int, pipeline_id: str) -> bool:
    return bool(get_json(port, f"/status/{pipeline_id}").body.get("total_processed") == 1)


def test_two_workers_share_a_redis(redis: RedisServer) -> None:
    shared = {"STATUS_REDIS_URL": redis.url_by().replace("/0", "/1")}
    with (
        worker(redis, "one", *POOLS["prefork"], env=shared) as one,
        worker(redis, "two", *POOLS["solo"], env=shared) as two,
    ):
        one.send("ingest", "a.pdf")
        two.send("ingest", "b.pdf")
        assert one.ends(1) == [("a.pdf", "completed")]
        assert two.ends(1) == [("b.pdf", "completed")]
        for each in (one, two):
            wait_until(partial(_is_done, each.port, "one@test"))
            wait_until(partial(_is_done, each.port, "two@test"))


def test_a_taken_port_does_not_stop_the_worker(redis: RedisServer) -> None:
    arguments = ["-m", "celery", "-A", "tests.adapters.celery_app", "worker", "-l", "INFO", "-n", "taken@test"]
    with taken_port() as port:
        settings = {"BROKER": redis.url, "STATUS_PORT": str(port), "C_FORCE_ROOT": "1"}
        with Program(*arguments, "-Q", "taken", *POOLS["prefork"], env=settings) as program:
            program.expect("the status of the celery pipeline is incomplete: .*" + str(port))
            app = Celery("sender", broker=redis.url)
            app.send_task("tests.adapters.celery_app.ingest", ["a.pdf"], queue="taken")
            program.expect(r"succeeded in [\d.]+s: \{'chunks': 3\}")
            app.close()
            program.signal(signal.SIGTERM)
            assert program.exit_code() == 0
            assert program.output.count("is incomplete") == 1


def test_a_process_that_only_sends_tasks_reports_nothing(redis: RedisServer) -> None:
    code = """
import sys
from tests.adapters.celery_app import app, ingest, broken
app.conf.task_always_eager = True
assert ingest.delay("a.pdf").get() == {"chunks": 3}
print("eventlet" in sys.modules)
"""
    done = run("-W", "error", "-c", code, env={"BROKER": redis.url})
    assert done.stdout == "False\n", done.stderr
