"""The examples: each works the same with and without the adapter, and the service shows it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.journal.redis_server import needs_redis, running
from tests.support.http_get import get_json
from tests.support.programs import ROOT, Program, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples" / "adapters"
THE_LINE = ("rag_pipeline", "show(", "@tracked", "stage(")
WATCHED = """
import json, runpy, sys, urllib.request
runpy.run_path(sys.argv[1], run_name="__main__")
from rag_pipeline.service.server import running
for server in running:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/status") as answer:
        print("shown", answer.read().decode())
"""


def play(example: Path) -> tuple[str, dict[str, Any]]:
    """Return the output of the example, and the final state that its service shows."""
    done = run("-W", "error", "-c", WATCHED, str(example), env={"STATUS_PORT": "0"})
    assert (done.returncode, done.stderr) == (0, "")
    output, _, shown = done.stdout.partition("shown ")
    return output, json.loads(shown or "{}")


def without_the_line(example: Path, folder: Path) -> Path:
    """Copy the example without this package's lines to a folder from which it finds the documents."""
    source = example.read_text(encoding="utf-8").replace("Path(__file__)", f"Path({str(example)!r})")
    kept = [line for line in source.splitlines() if not any(mark in line for mark in THE_LINE)]
    copy = folder / example.name
    copy.write_text("\n".join(kept), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("name", "pipeline_type", "processed", "failed", "skipped"),
    [
        ("llama_index_pipeline.py", "llama_index", 0, 0, 2),
        ("langchain_index.py", "langchain", 1, 0, 1),
        ("tracked_function.py", "pipeline", 3, 1, 0),
    ],
)
def test_an_example_is_reported_and_works_as_before(
    tmp_path: Path, name: str, pipeline_type: str, processed: int, failed: int, skipped: int
) -> None:
    output, shown = play(EXAMPLES / name)
    assert shown["pipeline_type"] == pipeline_type
    totals = [shown[f"total_{what}"] for what in ("processed", "failed", "skipped")]
    assert totals == [processed, failed, skipped]
    assert shown["files_in_flight"] == 0
    plain = without_the_line(EXAMPLES / name, tmp_path)
    assert "rag_pipeline" not in plain.read_text()
    assert play(plain) == (output, {})


@needs_redis
def test_the_worker_of_the_example_is_reported(tmp_path: Path) -> None:
    document = ROOT / "examples" / "documents" / "welcome.txt"
    with running(tmp_path / "redis") as redis:
        env = {"CELERY_BROKER_URL": redis.url, "STATUS_PORT": "0", "C_FORCE_ROOT": "1"}
        arguments = ["--workdir", str(EXAMPLES), "-A", "celery_tasks", "worker", "-l", "INFO", "-c", "1"]
        with Program("-m", "celery", *arguments, env=env) as program:
            port = int(program.expect(r"is shown on http://127\.0\.0\.1:(\d+)"))
            app = Celery("sender", broker=redis.url)
            for path in (str(document), "no-such-file.txt"):
                app.send_task("celery_tasks.ingest", [path])
            app.close()
            wait_until(lambda: get_json(port, "/status").body["total_failed"] == 1)
            wait_until(lambda: get_json(port, "/status").body["total_processed"] == 1)
            state = get_json(port, "/status").body
            assert state["files_completed"][0]["result"] == {"paragraphs": 4}
            assert state["files_failed"][0]["error"]["type"] == "FileNotFoundError"
            program.signal(signal.SIGTERM)
            assert program.exit_code() == 0
