"""Reports never raise, and the first one starts the service."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter, displayable, error_fields
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline
from tests.support.ports import taken_port
from tests.support.programs import run
from tests.support.recorder import Recorder

LOGGER = "rag_pipeline.adapters"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def reporter(recorder: Recorder) -> Reporter:
    pipeline = new_pipeline()
    core_of(pipeline).attach(recorder)
    return Reporter("pipeline", pipeline)


def test_reports_reach_the_pipeline(reporter: Reporter, recorder: Recorder) -> None:
    file = File("a.pdf", "7", size=10, mime_type="application/pdf", link="https://example.com/a.pdf")
    reporter.update(status="processing", batch=3)
    reporter.start(file)
    reporter.stage(file, "chunking", 0.5)
    reporter.complete(file, {"chunks": 3})
    reporter.start(file)
    reporter.fail(file, ValueError("no"))
    reporter.skip(file, "unchanged")
    reporter.delete(file)
    assert [name.removeprefix("pipeline:") for name in recorder.names] == [
        "status", "file_processing_started", "file_progress", "file_completed", "file_processing_started",
        "file_failed", "file_skipped", "file_deleted",
    ]  # fmt: skip
    bodies = [event.payload() for event in recorder.changes]
    assert bodies[0]["batch"] == 3
    assert [bodies[1]["file"][key] for key in File._fields] == list(file)
    assert bodies[3]["file"]["result"] == {"chunks": 3}
    assert bodies[5]["file"]["error"]["message"] == "no"


def test_a_failing_report_is_logged_once_and_does_not_raise(
    reporter: Reporter, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, LOGGER):
        reporter.start(File(""))
        reporter.skip(File("a"), "")
        reporter.attempt(lambda: 1 / 0)
    assert recorder.names == []
    said = "the status of the pipeline pipeline is incomplete: "
    assert [(record.levelname, record.getMessage().removeprefix(said)) for record in caplog.records] == [
        ("WARNING", "ValueError: filename must have 1 to 4096 characters, not 0"),
        ("DEBUG", "ValueError: reason must not be empty"),
        ("DEBUG", "ZeroDivisionError: division by zero"),
    ]


class Rude(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (12, 12),
        (True, True),
        (0.5, 0.5),
        ({"chunks": 3, "model": "displayable", "vectors": [0.1] * 1000, 4: 5}, {"chunks": 3, "model": "displayable"}),
        ({str(n): n for n in range(1000)}, {str(n): n for n in range(20)}),
        ("the whole text of the file", None),
        (["a"], None),
        (None, None),
        (float("nan"), None),
        (1 << 2000, None),
        ({"text": "x" * 201}, None),
        (Rude(), None),
    ],
)
def test_numbers_and_short_texts_of_a_result_are_displayable(result: Any, shown: Any) -> None:
    assert displayable(result) == shown
    pipeline = new_pipeline()
    Reporter("pipeline", pipeline).complete(File("a"), result)
    assert pipeline.get()["files_completed"][0]["result"] == shown


def test_the_fields_of_an_error() -> None:
    assert error_fields(KeyError("k"), retryable=True) == {
        "type": "KeyError", "message": "'k'", "stage": None, "retryable": True,
    }  # fmt: skip
    assert error_fields(TimeoutError())["message"] == "TimeoutError"


def test_a_pipeline_knows_whether_a_server_shows_it(recorder: Recorder) -> None:
    pipeline, other = PipelineStatus("pipeline"), Recorder()
    core = core_of(pipeline)
    shown = [core.shown]
    for sink in (recorder, other, other):
        core.attach(sink)
    for sink in (other, recorder):
        core.detach(sink)
        shown.append(core.shown)
    assert shown == [False, True, False]
    pipeline.close()


def test_a_forked_child_is_not_shown_by_the_parents_server(recorder: Recorder) -> None:
    pipeline = PipelineStatus("pipeline")
    core_of(pipeline).attach(recorder)
    child = os.fork()
    if child == 0:
        os._exit(int(core_of(pipeline).shown))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pipeline.close()


def test_the_first_report_creates_the_only_pipeline() -> None:
    reporter = Reporter("adapter-test", pipeline_id="adapter-test-own")
    assert reporter.pipeline is reporter.pipeline
    assert reporter.pipeline.pipeline_id == "adapter-test-own"
    reporter.pipeline.close()


SERVED = """
import rag_pipeline
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.service.server import running
import urllib.request, json
{before}
for kind in ("one", "two"):
    Reporter(kind).start(File("a.pdf"))
print(len(running))
for server in running:
    body = json.load(urllib.request.urlopen(f"http://127.0.0.1:{{server.http_port}}/status"))
    print(sorted(state["pipeline_type"] for state in body["pipelines"].values()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "own = rag_pipeline.start_status_server(0)"])
def test_the_first_report_starts_the_service_unless_there_is_one(before: str) -> None:
    done = run("-W", "error", "-c", SERVED.format(before=before), env={"STATUS_PORT": "0"})
    assert done.stdout == "1\n['one', 'two']\n", done.stderr


@pytest.mark.slow
def test_a_failed_start_of_the_service_is_one_line_and_the_work_goes_on() -> None:
    code = """
import logging
logging.basicConfig(format="%(message)s")
logging.getLogger("rag_pipeline.adapters").setLevel(logging.DEBUG)  # a second attempt would be logged here
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
reporter = Reporter("one")
for name in ("a.pdf", "b.pdf"):
    reporter.start(File(name))
    reporter.complete(File(name))
print(reporter.pipeline.get()["total_processed"])
"""
    with taken_port() as port:
        done = run("-c", code, env={"STATUS_PORT": str(port)})
    assert done.stdout == "2\n"
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("the status of the one pipeline is incomplete: ")
    assert str(port) in done.stderr


@pytest.mark.slow
def test_a_given_pipeline_is_not_served_by_the_adapter() -> None:
    code = """
import sys
from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
Reporter("one", PipelineStatus("one")).start(File("a.pdf"))
print("eventlet" in sys.modules)
"""
    assert run("-c", code).stdout == "False\n"


def test_reports_go_to_a_given_pipeline(recorder: Recorder) -> None:
    pipeline = PipelineStatus("pipeline", "adapter-test-given")
    assert Reporter("other", pipeline).pipeline is pipeline
