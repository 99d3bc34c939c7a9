"""One call for one file, and which call is about which."""

from __future__ import annotations

import logging

import pytest

from rag_pipeline.adapters.current_file import working_on
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.adapters.tracked_calls import Call, Calls, Part
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.adapters.watched import new_pipeline
from tests.support.recorder import Recorder

A = File("a.pdf")


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture
def reporter(pipeline: PipelineStatus) -> Reporter:
    return Reporter("pipeline", pipeline)


def test_a_call_starts_a_file_and_completes_it(reporter: Reporter, pipeline: PipelineStatus) -> None:
    call = Call(reporter, A)
    with call.shown():
        assert pipeline.get()["files_in_flight"] == 1
        call.stage("chunking", 0.5)
        call.result = {"chunks": 2}
    (file,) = pipeline.get()["files_completed"]
    assert (file["stage"], file["progress"], file["result"]) == ("chunking", 0.5, {"chunks": 2})


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_whatever_ends_a_call_fails_it_and_goes_on_its_way(
    reporter: Reporter, pipeline: PipelineStatus, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, Call(reporter, A).shown():
        raise error
    assert caught.value is error
    assert pipeline.get()["files_failed"][0]["error"]["type"] == type(error).__name__


def test_what_is_closed_before_its_end_is_skipped(reporter: Reporter, pipeline: PipelineStatus) -> None:
    with pytest.raises(GeneratorExit), Call(reporter, A).shown():
        raise GeneratorExit
    assert pipeline.get()["files_skipped"][0]["error"]["message"] == "closed before its end"


def test_a_part_is_a_stage_of_the_call_around_it(reporter: Reporter, pipeline: PipelineStatus) -> None:
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    with Call(reporter, A).shown(), Part(reporter, A, "embed").shown():
        pass
    assert [name.removeprefix("pipeline:file_") for name in recorder.names] == [
        "processing_started", "progress", "completed",
    ]  # fmt: skip
    assert recorder.last["file"]["stage"] == "embed"


def embed(path: str, size: int = 0) -> None: ...


def test_a_call_for_the_same_file_within_another_is_a_part_of_it(reporter: Reporter) -> None:
    calls = Calls(embed, None, reporter)
    outer = calls.of(("a.pdf",), {})
    assert type(outer) is Call
    with working_on(outer):
        assert type(calls.of(("a.pdf",), {})) is Part
        assert type(calls.of(("b.pdf",), {})) is Call


def test_a_call_about_no_file_is_none(reporter: Reporter) -> None:
    assert Calls(embed, "size", reporter).of(("a.pdf",), {}) is None


def test_a_choice_that_fails_is_logged_and_the_call_is_not_shown(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Calls(embed, lambda *_: 1 / 0, reporter).of(("a.pdf",), {}) is None
    assert "ZeroDivisionError" in caplog.text
