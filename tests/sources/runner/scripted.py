"""Pipelines that run a script of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext

from rag_pipeline.sources.runner.pipeline_spec import PipelineContext, PipelineSpec
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.pipeline import PipelineStatus

Script = Callable[[PipelineContext], None]


def until_stopped(context: PipelineContext) -> None:
    """Be idle until the stop."""
    context.status.update(status="idle")
    assert context.stop.wait(30)
    context.status.update(status="stopped")


def done_at_once(context: PipelineContext) -> None:
    """Have nothing to do."""
    context.status.update(status="stopped")


def failed_file(context: PipelineContext) -> None:
    """Fail one file."""
    context.status.complete_file("a.txt", success=False, error="it is damaged")


def raising(error: BaseException) -> Script:
    """Return a script that raises the error."""

    def script(context: PipelineContext) -> None:
        raise error

    return script


class _ScriptedPipeline:
    def __init__(self, script: Script, context: PipelineContext) -> None:
        self._script = script
        self._context = context

    def run(self, stop: threading.Event) -> None:
        assert stop is self._context.stop
        self._script(self._context)


def scripted_spec(pipeline_id: str, script: Script) -> PipelineSpec:
    """Return a pipeline that runs the script."""
    return PipelineSpec(
        kind="local_files",
        title=f"the folder of {pipeline_id}",
        collection=pipeline_id,
        workers=1,
        build=lambda context: nullcontext(_ScriptedPipeline(script, context)),
        pipeline_id=pipeline_id,
    )


def scripted_thread(pipeline_id: str, script: Script, state: StateFolder) -> PipelineThread:
    """Return a thread that runs the script."""
    return PipelineThread(scripted_spec(pipeline_id, script), PipelineStatus("local_files", pipeline_id), state)
