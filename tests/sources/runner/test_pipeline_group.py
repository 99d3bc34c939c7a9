from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ConfigurationError, EmbeddingError, ExitCode, StateError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.runner.pipeline_group import PipelineGroup
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.pipeline import core_of
from rag_pipeline.status.saved import SET_FIELDS, SavedState
from tests.sources.memory_stages import MemoryStages
from tests.sources.runner.scripted import Script, done_at_once, failed_file, raising, scripted_thread, until_stopped
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

SECONDS = 60.0


class Model:
    """Builds the stages, and counts how often."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.shared = MemoryStages()
        self.built = 0
        self._error = error

    def __call__(self, stop: threading.Event) -> Stages:
        self.built += 1
        if self._error is not None:
            raise self._error
        return self.shared.stages


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder(tmp_path / "state") as folder:
        yield folder


def start_group(state: StateFolder, *scripts: Script, model: Model | None = None) -> PipelineGroup:
    threads = [scripted_thread(f"pipeline-{number}", script, state) for number, script in enumerate(scripts, 1)]
    group = PipelineGroup(threads, model or Model(), state.path)
    group.start()
    return group


def run_group(state: StateFolder, *scripts: Script, model: Model | None = None) -> PipelineGroup:
    """Return a group that has ended."""
    group = start_group(state, *scripts, model=model)
    group.join(SECONDS)
    assert not group.is_alive
    return group


def status_words(group: PipelineGroup) -> list[str]:
    return [str(thread.status.get()["status"]) for thread in group.threads]


def is_idle(thread: PipelineThread) -> bool:
    return bool(thread.status.get()["status"] == "idle")


def test_model_and_store_are_loaded_once_and_closed_at_the_end(state: StateFolder) -> None:
    model = Model()
    contexts: list[PipelineContext] = []
    group = run_group(state, contexts.append, contexts.append, contexts.append, model=model)
    assert model.built == 1
    assert len({id(context.stages.embedder) for context in contexts}) == 1
    assert len({id(context.stages.store) for context in contexts}) == 1
    assert {context.collection for context in contexts} == {"pipeline-1", "pipeline-2", "pipeline-3"}
    assert len({id(context.ledger) for context in contexts}) == 3
    assert model.shared.extractor.closed.is_set()
    assert group.exit_code(RunMode.SINGLE, interrupted=False) == ExitCode.OK


def test_a_pipeline_that_fails_does_not_stop_the_others(state: StateFolder) -> None:
    group = start_group(
        state, raising(ConfigurationError("the folder is gone")), until_stopped, raising(StateError("x"))
    )
    wait_until(lambda: status_words(group) == ["error", "idle", "error"])
    assert group.is_alive
    assert [pipeline_id for pipeline_id, _ in group.take_failures()] == ["pipeline-1", "pipeline-3"]
    assert list(group.take_failures()) == []
    group.close()
    assert status_words(group) == ["error", "stopped", "error"]
    assert group.exit_code(RunMode.CONTINUOUS, interrupted=True) == ExitCode.OK


def test_the_first_failed_pipeline_gives_the_exit_code(state: StateFolder) -> None:
    group = run_group(state, raising(StateError("x")), raising(ConfigurationError("y")))
    assert group.exit_code(RunMode.CONTINUOUS, interrupted=False) == ExitCode.STATE
    with pytest.raises(StateError):
        group.raise_failure()


def test_closing_stops_all_pipelines(state: StateFolder) -> None:
    group = start_group(state, until_stopped, until_stopped)
    wait_until(lambda: all(map(is_idle, group.threads)))
    group.close()
    assert not group.is_alive
    assert status_words(group) == ["stopped", "stopped"]
    group.raise_failure()


@pytest.mark.parametrize(
    ("scripts", "interrupted", "code"),
    [
        ((done_at_once, done_at_once), False, ExitCode.OK),
        ((done_at_once, failed_file), False, ExitCode.FILES_FAILED),
        ((failed_file, raising(StateError("x"))), False, ExitCode.STATE),
        ((done_at_once, failed_file), True, ExitCode.INTERRUPTED),
    ],
)
def test_the_worst_single_pass_gives_the_exit_code(
    state: StateFolder, scripts: tuple[Script, ...], interrupted: bool, code: int
) -> None:
    assert run_group(state, *scripts).exit_code(RunMode.SINGLE, interrupted=interrupted) == code


def test_files_that_failed_in_earlier_runs_do_not_count(state: StateFolder) -> None:
    thread = scripted_thread("papers", done_at_once, state)
    fields = {**dict.fromkeys(SET_FIELDS), "status": "stopped", "started_at": 1.0, "is_checking": False}
    saved = SavedState("papers", "local_files", "epoch", 7, fields, {}, FileTotals(total_failed=1))
    core_of(thread.status).attach(Recorder(), lambda _: saved)
    group = PipelineGroup([thread], Model(), state.path)
    group.start()
    group.join(SECONDS)
    assert thread.status.get()["total_failed"] == 1
    assert group.exit_code(RunMode.SINGLE, interrupted=False) == ExitCode.OK


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_group(state: StateFolder) -> None:
    group = run_group(state, done_at_once, done_at_once, model=Model(EmbeddingError("there is no model")))
    assert status_words(group) == ["error", "error"]
    assert list(group.take_failures()) == []
    with pytest.raises(EmbeddingError, match="there is no model"):
        group.exit_code(RunMode.CONTINUOUS, interrupted=False)
    with pytest.raises(EmbeddingError, match="there is no model"):
        group.raise_failure()


def test_a_stop_while_the_model_is_loaded_is_no_failure(state: StateFolder) -> None:
    group = run_group(state, until_stopped, until_stopped, model=Model(Stopped()))
    assert status_words(group) == ["stopped", "stopped"]
    assert group.exit_code(RunMode.CONTINUOUS, interrupted=True) == ExitCode.OK


def test_a_ledger_that_cannot_be_opened_is_an_error_of_the_group_before_the_model_is_loaded(
    state: StateFolder,
) -> None:
    (state.path / "ledger.sqlite3").write_text("this is no database, and long enough to be read as one" * 100)
    model = Model()
    group = run_group(state, done_at_once, done_at_once, model=model)
    assert status_words(group) == ["error", "error"]
    assert model.built == 0
    with pytest.raises(StateError, match=r"ledger\.sqlite3"):
        group.exit_code(RunMode.CONTINUOUS, interrupted=False)


def test_a_bug_is_raised(state: StateFolder) -> None:
    group = run_group(state, done_at_once, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        group.exit_code(RunMode.SINGLE, interrupted=False)
