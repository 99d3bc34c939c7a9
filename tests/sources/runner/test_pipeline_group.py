"""Several pipelines: what is shared is made once, and one that ends leaves the others alone."""

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
from rag_pipeline.status import core_of
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.saved import SET_FIELDS, SavedState
from tests.sources.memory_stages import MemoryStages
from tests.sources.runner.scripted import Script, done_at_once, member, until_stopped
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until

SECONDS = 60.0


class Model:
    """Builds the parts, and counts how often."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.shared = MemoryStages()
        self.built = 0
        self._error = error

    def __call__(self, stop: threading.Event) -> Stages:
        self.built += 1
        if self._error is not None:
            raise self._error
        return self.shared.parts


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    with StateFolder(tmp_path / "state") as folder:
        yield folder


def failing(error: BaseException) -> Script:
    def script(around: PipelineContext) -> None:
        raise error

    return script


def failed_file(around: PipelineContext) -> None:
    around.status.complete_file("a.txt", success=False, error="it is damaged")


def team(state: StateFolder, *scripts: Script, model: Model | None = None) -> PipelineGroup:
    members = [member(f"pipeline-{number}", script, state) for number, script in enumerate(scripts, 1)]
    made = PipelineGroup(members, model or Model(), state.path)
    made.start()
    return made


def ended(state: StateFolder, *scripts: Script, model: Model | None = None) -> PipelineGroup:
    made = team(state, *scripts, model=model)
    made.join(SECONDS)
    assert not made.alive
    return made


def words(of: PipelineGroup) -> list[str]:
    return [str(one.status.get()["status"]) for one in of.members]


def is_idle(one: PipelineThread) -> bool:
    return bool(one.status.get()["status"] == "idle")


def test_model_and_store_are_made_once_for_all_and_closed_at_the_end(state: StateFolder) -> None:
    model = Model()
    seen: list[PipelineContext] = []
    made = ended(state, seen.append, seen.append, seen.append, model=model)
    assert model.built == 1
    assert len({id(around.parts.embedder) for around in seen}) == len({id(around.parts.store) for around in seen}) == 1
    assert {around.scope for around in seen} == {"pipeline-1", "pipeline-2", "pipeline-3"}
    assert len({id(around.ledger) for around in seen}) == 3
    assert model.shared.extractor.closed.is_set()
    assert made.exit_code(RunMode.SINGLE, interrupted=False) == ExitCode.OK


def test_one_that_fails_leaves_the_others_at_work(state: StateFolder) -> None:
    made = team(state, failing(ConfigurationError("the folder is gone")), until_stopped, failing(StateError("x")))
    wait_until(lambda: words(made) == ["error", "idle", "error"])
    assert made.alive
    made.close()
    assert words(made) == ["error", "stopped", "error"]
    assert made.exit_code(RunMode.CONTINUOUS, interrupted=True) == ExitCode.OK


def test_when_none_is_left_the_first_that_failed_decides(state: StateFolder) -> None:
    made = ended(state, failing(StateError("x")), failing(ConfigurationError("y")))
    assert made.exit_code(RunMode.CONTINUOUS, interrupted=False) == ExitCode.STATE


def test_a_stop_ends_all(state: StateFolder) -> None:
    made = team(state, until_stopped, until_stopped)
    wait_until(lambda: all(map(is_idle, made.members)))
    made.close()
    assert not made.alive
    assert words(made) == ["stopped", "stopped"]


@pytest.mark.parametrize(
    ("scripts", "interrupted", "code"),
    [
        ((done_at_once, done_at_once), False, ExitCode.OK),
        ((done_at_once, failed_file), False, ExitCode.FILES_FAILED),
        ((failed_file, failing(StateError("x"))), False, ExitCode.STATE),
        ((done_at_once, failed_file), True, ExitCode.INTERRUPTED),
    ],
)
def test_passes_end_with_the_worst_of_them(
    state: StateFolder, scripts: tuple[Script, ...], interrupted: bool, code: int
) -> None:
    assert ended(state, *scripts).exit_code(RunMode.SINGLE, interrupted=interrupted) == code


def test_files_that_failed_in_earlier_runs_do_not_count(state: StateFolder) -> None:
    one = member("papers", done_at_once, state)
    fields = {**dict.fromkeys(SET_FIELDS), "status": "stopped", "started_at": 1.0, "is_checking": False}
    kept = SavedState("papers", "local_files", "epoch", 7, fields, {}, FileTotals(total_failed=1))
    core_of(one.status).attach(Recorder(), lambda _: kept)
    made = PipelineGroup([one], Model(), state.path)
    made.start()
    made.join(SECONDS)
    assert one.status.get()["total_failed"] == 1
    assert made.exit_code(RunMode.SINGLE, interrupted=False) == ExitCode.OK


def test_a_model_that_can_not_be_had_is_told_once_for_all(state: StateFolder) -> None:
    made = ended(state, done_at_once, done_at_once, model=Model(EmbeddingError("there is no model")))
    assert words(made) == ["error", "error"]
    with pytest.raises(EmbeddingError, match="there is no model"):
        made.exit_code(RunMode.CONTINUOUS, interrupted=False)


def test_a_stop_while_the_model_is_loaded_is_no_failure(state: StateFolder) -> None:
    made = ended(state, until_stopped, until_stopped, model=Model(Stopped()))
    assert words(made) == ["stopped", "stopped"]
    assert made.exit_code(RunMode.CONTINUOUS, interrupted=True) == ExitCode.OK


def test_a_ledger_that_can_not_be_opened_is_told_once_for_all(state: StateFolder) -> None:
    (state.path / "ledger.sqlite3").write_text("this is no database, and long enough to be read as one" * 100)
    model = Model()
    made = ended(state, done_at_once, done_at_once, model=model)
    assert words(made) == ["error", "error"]
    assert model.shared.extractor.closed.is_set()
    with pytest.raises(StateError, match=r"ledger\.sqlite3"):
        made.exit_code(RunMode.CONTINUOUS, interrupted=False)


def test_a_mistake_of_ours_is_not_hidden(state: StateFolder) -> None:
    made = ended(state, done_at_once, failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        made.exit_code(RunMode.SINGLE, interrupted=False)
