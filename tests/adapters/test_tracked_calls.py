"""Tracked calls and their files."""

from __future__ import annotations

import logging

import pytest

from rag_pipeline.adapters.current_file import working_on
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.adapters.tracked_calls import CallFactory, NestedCall, TrackedCall
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
    call = TrackedCall(reporter, A)
    with call.reported():
        assert pipeline.get()["files_in_flight"] == 1
        call.stage("chunking", 0.5)
        call.result = {"chunks": 2}
    (file,) = pipeline.get()["files_completed"]
    assert (file["stage"], file["progress"], file["result"]) == ("chunking", 0.5, {"chunks": 2})


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_any_exception_fails_the_call_and_propagates(
    reporter: Reporter, pipeline: PipelineStatus, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, TrackedCall(reporter, A).reported():
        raise error
    assert caught.value is error
    assert pipeline.get()["files_failed"][0]["error"]["type"] == type(error).__name__


def test_a_call_closed_before_its_end_is_skipped(reporter: Reporter, pipeline: PipelineStatus) -> None:
    with pytest.raises(GeneratorExit), TrackedCall(reporter, A).reported():
        raise GeneratorExit
    assert pipeline.get()["files_skipped"][0]["error"]["message"] == "closed before its end"


def test_a_nested_call_is_a_stage_of_the_outer_one(reporter: Reporter, pipeline: PipelineStatus) -> None:
    recorder = Recorder()
    core_of(pipeline).attach(recorder)
    with TrackedCall(reporter, A).reported(), NestedCall(reporter, A, "embed").reported():
        pass
    assert [name.removeprefix("pipeline:file_") for name in recorder.names] == [
        "processing_started", "progress", "completed",
    ]  # fmt: skip
    assert recorder.last["file"]["stage"] == "embed"


def embed(path: str, size: int = 0) -> None: ...


def test_a_call_for_the_same_file_inside_another_is_nested(reporter: Reporter) -> None:
    calls = CallFactory(embed, None, reporter)
    outer = calls.create(("a.pdf",), {})
    assert type(outer) is TrackedCall
    with working_on(outer):
        assert type(calls.create(("a.pdf",), {})) is NestedCall
        assert type(calls.create(("b.pdf",), {})) is TrackedCall


def test_a_call_without_a_file_is_not_tracked(reporter: Reporter) -> None:
    assert CallFactory(embed, "size", reporter).create(("a.pdf",), {}) is None


def test_a_failing_choice_is_logged_and_the_call_is_not_tracked(
    reporter: Reporter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert CallFactory(embed, lambda *_: 1 / 0, reporter).create(("a.pdf",), {}) is None
    assert "ZeroDivisionError" in caplog.text
