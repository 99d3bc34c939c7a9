"""One pipeline of several: how it ends is its own, and shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.ingest.extract import ProcessExtractor
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread, with_own_extractor
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import core_of
from tests.sources.memory_stages import TestParts
from tests.sources.runner.scripted import Script, done_at_once, member, until_stopped
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder(tmp_path / "state") as folder:
        yield folder


def ran(state: StateFolder, script: Script) -> PipelineThread:
    """Return a member that has ended."""
    one = member("papers", script, state)
    one.prepare()
    with Ledger(state.path, "papers") as ledger:
        one.start(TestParts().parts, ledger)
        one.join()
    return one


def raising(error: BaseException) -> Script:
    def script(around: PipelineContext) -> None:
        raise error

    return script


def test_it_says_that_it_begins(state: StateFolder) -> None:
    one = member("papers", done_at_once, state)
    one.status.complete_file("a.txt")
    one.prepare()
    assert one.status.get()["status"] == "initializing"
    assert one.prepared


def test_it_runs_in_surroundings_of_its_own_until_it_is_stopped(state: StateFolder) -> None:
    seen: list[PipelineContext] = []

    def script(around: PipelineContext) -> None:
        seen.append(around)
        until_stopped(around)

    one = member("papers", script, state)
    shared = TestParts()
    with Ledger(state.path, "papers") as ledger:
        one.prepare()
        one.start(shared.parts, ledger)
        wait_until(lambda: bool(seen))
        one.stop.set()
        one.join()
        assert (seen[0].status, seen[0].ledger, seen[0].scope, seen[0].state) == (one.status, ledger, "papers", state)
    assert (one.failure, one.status.get()["status"]) == (None, "stopped")
    assert not shared.extractor.closed.is_set(), "which is not its own"


def test_a_stop_while_it_begins_is_no_failure(state: StateFolder) -> None:
    one = ran(state, raising(Stopped()))
    assert (one.failure, one.status.get()["status"]) == (None, "stopped")


def test_an_error_ends_it_and_is_shown(state: StateFolder) -> None:
    one = ran(state, raising(StateError("the ledger is damaged")))
    assert isinstance(one.failure, StateError)
    told = one.status.get()
    assert (told["status"], told["message"]) == ("error", "the ledger is damaged")


def test_a_mistake_of_ours_is_logged_and_shown(state: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    one = ran(state, raising(ZeroDivisionError("by nothing")))
    assert isinstance(one.failure, ZeroDivisionError)
    assert one.status.get()["message"] == "ZeroDivisionError: by nothing"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert record.getMessage() == "papers has ended: a mistake of ours"


def test_what_is_shown_already_is_not_shown_twice(state: StateFolder) -> None:
    def script(around: PipelineContext) -> None:
        around.status.update(status="error", is_checking=False, own={"message": "broken"})
        raise StateError("broken")

    one = member("papers", script, state)
    one.prepare()
    seen = Recorder()
    core_of(one.status).attach(seen)
    with Ledger(state.path, "papers") as ledger:
        one.start(TestParts().parts, ledger)
        one.join()
    assert len([event for event in seen.changes if event.payload().get("status") == "error"]) == 1


def test_parts_are_shared_but_for_the_extractor() -> None:
    shared = TestParts().parts
    own = with_own_extractor(shared, 3)
    assert isinstance(own.extractor, ProcessExtractor)
    assert (own.embedder, own.store, own.chunker, own.recipe) == (
        shared.embedder,
        shared.store,
        shared.chunker,
        shared.recipe,
    )
    own.extractor.close()
