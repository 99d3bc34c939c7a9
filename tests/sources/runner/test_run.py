"""The runner in this process; tests of each command run it from outside."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ExitCode, RagPipelineError, StoreError
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.sources.runner.file_lines import Service
from rag_pipeline.sources.runner.pipeline_spec import PipelineSpec, RunSettings
from rag_pipeline.sources.runner.run import run
from rag_pipeline.status.pipeline import PipelineStatus
from tests.sources.endpoint import endpoint
from tests.sources.runner.scripted import done_at_once, failed_file, raising, scripted_spec
from tests.sources.runner.test_file_lines import FakeService


class Display:
    """Records what it is asked to print."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.lines: list[str] = []
        self.summarized: list[str] = []
        self._statuses: Sequence[PipelineStatus] = ()

    def __call__(self, statuses: Sequence[PipelineStatus]) -> Display:
        self._statuses = statuses
        return self

    def start(self, service: Service, titles: Sequence[str]) -> None:
        self.titles += titles

    def refresh(self) -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)

    def close(self, summarized: Container[str]) -> None:
        self.summarized = [one.pipeline_id for one in self._statuses if one.pipeline_id in summarized]

    def restore(self) -> None:
        pass


class Bench:
    """Runs single passes, with a fake service and display."""

    def __init__(self, state_dir: Path, ingest: IngestSettings) -> None:
        self.display = Display()
        self.reported: list[tuple[str, str]] = []
        self.services: list[dict[str, object]] = []
        self._state_dir = state_dir
        self._ingest = ingest

    def start_service(self, statuses: Sequence[PipelineStatus], **options: object) -> AbstractContextManager[Service]:
        self.services.append(options)
        return nullcontext(FakeService("127.0.0.1", 1, 2))

    def report(self, pipeline_id: str, error: RagPipelineError) -> None:
        self.reported.append((pipeline_id, str(error)))

    def run(self, *specs: PipelineSpec, report: bool = True) -> int:
        settings = RunSettings(self._state_dir, "--state-dir", RunMode.SINGLE, port=0)
        return run(
            specs,
            settings,
            self._ingest,
            self.start_service,
            self.display,
            state_dir_option="--state-dir",
            report_failure=self.report if report else None,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with endpoint() as api:
        yield Bench(tmp_path / "state", IngestSettings.from_env(api.env))


def test_pipelines_run_to_the_end_of_their_passes(bench: Bench, tmp_path: Path) -> None:
    assert bench.run(scripted_spec("a", done_at_once), scripted_spec("b", failed_file)) == ExitCode.FILES_FAILED
    assert bench.display.titles == ["the folder of a", "the folder of b"]
    assert (bench.display.summarized, bench.reported) == (["a", "b"], [])
    [service] = bench.services
    assert isinstance(service.pop("documents"), StoredDocuments)
    assert service == {"host": None, "port": 0, "socket_port": None, "state_dir": tmp_path / "state"}


def test_a_reported_failure_leaves_the_others_running(bench: Bench) -> None:
    specs = scripted_spec("a", raising(StoreError("the store is gone"))), scripted_spec("b", done_at_once)
    assert bench.run(*specs) == StoreError.exit_code
    assert bench.reported == [("a", "the store is gone")]
    assert bench.display.summarized == ["b"]


def test_a_failure_that_nobody_reports_is_raised(bench: Bench) -> None:
    with pytest.raises(StoreError, match="the store is gone"):
        bench.run(scripted_spec("a", raising(StoreError("the store is gone"))), report=False)
    assert bench.display.summarized == []


def test_a_new_state_folder_at_the_default_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with endpoint() as api:
        bench = Bench(Path(".rag_pipeline"), IngestSettings.from_env(api.env))
        assert bench.run(scripted_spec("a", done_at_once)) == ExitCode.OK
    (line,) = bench.display.lines
    assert str(tmp_path / ".rag_pipeline") in line
    assert "--state-dir" in line
