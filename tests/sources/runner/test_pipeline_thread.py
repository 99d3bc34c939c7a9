from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.ingest.extract import ExtractionLimits, ProcessExtractor
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread, with_own_extractor
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.pipeline import core_of
from tests.sources.memory_stages import MemoryStages
from tests.sources.runner.scripted import Script, done_at_once, raising, scripted_thread, until_stopped
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder(tmp_path / "state") as folder:
        yield folder


def run_to_end(state: StateFolder, script: Script) -> PipelineThread:
    thread = scripted_thread("papers", script, state)
    thread.prepare()
    with Ledger(state.path, "papers") as ledger:
        thread.start(MemoryStages().stages, ledger)
        thread.join()
    return thread


def test_a_prepared_pipeline_shows_that_it_starts(state: StateFolder) -> None:
    thread = scripted_thread("papers", done_at_once, state)
    thread.status.complete_file("a.txt")
    thread.prepare()
    assert thread.status.get()["status"] == "initializing"
    assert thread.is_prepared


def test_a_pipeline_runs_in_its_own_context_until_it_is_stopped(state: StateFolder) -> None:
    contexts: list[PipelineContext] = []

    def script(context: PipelineContext) -> None:
        contexts.append(context)
        until_stopped(context)

    thread = scripted_thread("papers", script, state)
    shared = MemoryStages()
    with Ledger(state.path, "papers") as ledger:
        thread.prepare()
        thread.start(shared.stages, ledger)
        wait_until(lambda: bool(contexts))
        thread.stop.set()
        thread.join()
        context = contexts[0]
        assert (context.status, context.ledger, context.collection, context.state) == (
            thread.status,
            ledger,
            "papers",
            state,
        )
    assert (thread.failure, thread.status.get()["status"]) == (None, "stopped")
    assert not shared.extractor.closed.is_set(), "the shared extractor is not the pipeline's"


def test_a_stop_during_the_start_is_no_failure(state: StateFolder) -> None:
    thread = run_to_end(state, raising(Stopped()))
    assert (thread.failure, thread.status.get()["status"]) == (None, "stopped")


def test_an_error_ends_the_pipeline_and_is_shown(state: StateFolder) -> None:
    thread = run_to_end(state, raising(StateError("the ledger is damaged")))
    assert isinstance(thread.failure, StateError)
    shown = thread.status.get()
    assert (shown["status"], shown["message"]) == ("error", "the ledger is damaged")


def test_a_bug_is_logged_and_shown(state: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    thread = run_to_end(state, raising(ZeroDivisionError("by nothing")))
    assert isinstance(thread.failure, ZeroDivisionError)
    assert thread.status.get()["message"] == "ZeroDivisionError: by nothing"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert record.getMessage() == "papers has ended because of a bug"


def test_an_error_that_the_pipeline_has_shown_is_not_shown_again(state: StateFolder) -> None:
    def script(context: PipelineContext) -> None:
        context.status.update(status="error", is_checking=False, own={"message": "broken"})
        raise StateError("broken")

    thread = scripted_thread("papers", script, state)
    thread.prepare()
    recorder = Recorder()
    core_of(thread.status).attach(recorder)
    with Ledger(state.path, "papers") as ledger:
        thread.start(MemoryStages().stages, ledger)
        thread.join()
    assert len([event for event in recorder.changes if event.payload().get("status") == "error"]) == 1


def test_all_stages_but_the_extractor_are_shared() -> None:
    shared = MemoryStages().stages
    own = with_own_extractor(shared, 3)
    assert isinstance(own.extractor, ProcessExtractor)
    assert (own.embedder, own.store, own.chunker, own.config_hash) == (
        shared.embedder,
        shared.store,
        shared.chunker,
        shared.config_hash,
    )
    own.extractor.close()


def test_the_limits_of_the_extractor_are_shared() -> None:
    limits = ExtractionLimits(time_seconds=7)
    own = with_own_extractor(replace(MemoryStages().stages, extractor=ProcessExtractor(limits)), 3)
    assert isinstance(own.extractor, ProcessExtractor)
    assert own.extractor.limits is limits
    own.extractor.close()
