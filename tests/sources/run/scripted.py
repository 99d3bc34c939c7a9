"""Pipelines that do as a test says, and what they are run in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from rag_pipeline.common.config import RunMode
from rag_pipeline.sources.runner.command import Surroundings, Task
from rag_pipeline.sources.runner.pipeline_config import Entry
from rag_pipeline.sources.runner.pipeline_thread import Member
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import PipelineStatus

Script = Callable[[Surroundings], None]


def until_stopped(around: Surroundings) -> None:
    """Follow until the stop."""
    around.status.update(status="idle")
    assert around.stop.wait(30)
    around.status.update(status="stopped")


def done_at_once(around: Surroundings) -> None:
    """Have nothing to do."""
    around.status.update(status="stopped")


class _Scripted:
    def __init__(self, script: Script, around: Surroundings) -> None:
        self._script = script
        self._around = around

    def run(self, stop: threading.Event) -> None:
        assert stop is self._around.stop
        self._script(self._around)


def entry(pipeline_id: str, script: Script, state_dir: Path) -> Entry:
    """Return a pipeline that runs the script."""
    task = Task(
        kind="local_files",
        title=f"the place of {pipeline_id}",
        scope=pipeline_id,
        mode=RunMode.CONTINUOUS,
        workers=1,
        state_dir=state_dir,
        state_dir_key="state_dir",
        build=lambda around: nullcontext(_Scripted(script, around)),
    )
    return Entry(pipeline_id, pipeline_id, "folder", task, lambda: None)


def member(pipeline_id: str, script: Script, state: StateFolder) -> Member:
    """Return a member that runs the script."""
    return Member(entry(pipeline_id, script, state.path), PipelineStatus("local_files", pipeline_id), state)
