"""What all such commands share; tests of each command run it from outside."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ConfigurationError, StoreError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.sources.runner import command
from rag_pipeline.sources.runner.command import Surroundings, Task, Work
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import PipelineStatus
from tests.sources.endpoint import endpoint


def test_a_place_has_a_scope_of_its_own_unless_the_pipeline_has_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.delenv("RAG_STORE_URL", raising=False)
    assert command.scope_of("local_files", "/docs") == "local_files:/docs"
    monkeypatch.setenv("RAG_PIPELINE_ID", "papers")
    assert command.scope_of("local_files", "/docs") == "papers"


def test_a_store_that_machines_share_asks_for_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.setenv("RAG_STORE_URL", "postgresql+psycopg://127.0.0.1/rag")
    with pytest.raises(ConfigurationError, match=r"^RAG_PIPELINE_ID=''"):
        command.scope_of("local_files", "/docs")
    monkeypatch.setenv("RAG_PIPELINE_ID", "papers")
    assert command.scope_of("local_files", "/docs") == "papers"


def test_every_such_command_takes_the_same_arguments() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(["--once", "--port", "0", "--state-dir", "kept", "--plain"])
    assert (args.once, args.port, args.state_dir, args.plain) == (True, 0, Path("kept"), True)


def test_what_ends_a_pipeline_is_shown_and_kept_for_the_main_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def run(self, stop: threading.Event) -> None:
            raise StoreError("the store is gone")

    closed: list[bool] = []

    @contextmanager
    def build(around: Surroundings) -> Iterator[Failing]:
        assert around.scope == "here"
        try:
            yield Failing()
        finally:
            closed.append(True)

    task = Task("local_files", "here", "here", RunMode.SINGLE, 1, tmp_path, "STATUS_STATE_DIR", build)
    status = PipelineStatus("local_files", "command-fails")
    with endpoint() as api, StateFolder(tmp_path) as state:
        work = Work(status, task, IngestSettings.from_env(api.env), state)
        work.start()
        work.join(60)
    assert isinstance(work.failure, StoreError)
    assert closed == [True]
    assert (status.get()["status"], status.get()["message"]) == ("error", "the store is gone")
