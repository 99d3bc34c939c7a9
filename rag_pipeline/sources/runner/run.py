"""Runs one pipeline or several in this process, with the status service and the terminal beside them."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from rag_pipeline.common.document_search import DocumentSearch
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import note_new_default
from rag_pipeline.sources.runner.file_lines import Service
from rag_pipeline.sources.runner.pipeline_group import PipelineGroup
from rag_pipeline.sources.runner.pipeline_spec import PipelineSpec, RunSettings
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread
from rag_pipeline.sources.runner.terminal import Terminal
from rag_pipeline.sources.stages import Stages, build_stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.pipeline import PipelineStatus

_TICK_SECONDS = 0.1

FailureReport = Callable[[str, RagPipelineError], None]
"""Reports that the pipeline with this id has failed."""


class StartService(Protocol):
    """Starts the service that shows the pipelines; passed in, because pipelines may not import servers."""

    def __call__(
        self,
        statuses: Sequence[PipelineStatus],
        *,
        host: str | None,
        port: int | None,
        socket_port: int | None,
        state_dir: Path,
        documents: DocumentSearch,
    ) -> AbstractContextManager[Service]:
        """Return the running service; None stands for the default of the environment."""
        ...


class Display(Protocol):
    """Prints what the pipelines do, see :class:`Terminal`; used by one thread."""

    def start(self, service: Service, titles: Sequence[str]) -> None: ...

    def refresh(self) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self, summarized: Container[str]) -> None: ...

    def restore(self) -> None: ...


def run_one(args: argparse.Namespace, spec: PipelineSpec, settings: RunSettings, start_service: StartService) -> int:
    """Run one pipeline with a live view; return the exit code, see :func:`run`."""
    ingest = IngestSettings.from_env()
    check_installed(ingest)

    def open_terminal(statuses: Sequence[PipelineStatus]) -> Terminal:
        return Terminal(statuses[0], live=False if args.plain else None)

    return run([spec], settings, ingest, start_service, open_terminal, state_dir_option="--state-dir")


def run(
    specs: Sequence[PipelineSpec],
    settings: RunSettings,
    ingest: IngestSettings,
    start_service: StartService,
    open_display: Callable[[Sequence[PipelineStatus]], Display],
    *,
    state_dir_option: str,
    report_failure: FailureReport | None = None,
) -> int:
    """Run the pipelines until Ctrl+C or SIGTERM, or for one pass each; return the exit code.

    A stop on request is 0, an interrupted single pass is 130, and a single pass with a failed file is 1. A second
    Ctrl+C exits at once: files in work are ingested at the next start.

    With ``report_failure`` a pipeline that fails is reported at once and the others go on; the exit code is that of the
    first one. Without it the failure is raised.
    """
    note = note_new_default(settings.state_dir, f"{state_dir_option} or STATUS_STATE_DIR")
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        state = stack.enter_context(StateFolder(settings.state_dir, settings.state_dir_key))
        statuses = [PipelineStatus(spec.kind, spec.pipeline_id) for spec in specs]
        for status in statuses:
            stack.callback(status.close)
        collections = {status.pipeline_id: spec.collection for spec, status in zip(specs, statuses, strict=True)}
        documents = StoredDocuments(ingest, settings.state_dir, collections=collections, is_shared=True)
        service = stack.enter_context(
            start_service(
                statuses,
                host=settings.host,
                port=settings.port,
                socket_port=settings.socket_port,
                state_dir=settings.state_dir,
                documents=documents,
            )
        )
        display = open_display(statuses)
        threads = [PipelineThread(spec, status, state) for spec, status in zip(specs, statuses, strict=True)]

        def load(stop: threading.Event) -> Stages:
            stages = build_stages(ingest, state.store, workers=1, stop=stop)
            documents.share(stages.embedder, stages.store)
            return stages

        group = PipelineGroup(threads, load, state.path)
        try:
            display.start(service, [spec.title for spec in specs])
            if note is not None:
                display.say(note)
            interrupted = _follow(group, signals, display, report_failure)
        finally:
            display.close({one.pipeline_id for one in threads if one.failure is None and one.is_prepared})
        if report_failure is None:
            group.raise_failure()
        return group.exit_code(settings.mode, interrupted=interrupted)


def _follow(group: PipelineGroup, signals: StopSignals, display: Display, report_failure: FailureReport | None) -> bool:
    """Wait until all pipelines have ended, and keep the display up to date; return whether they were interrupted."""

    def exit_at_once(*_: object) -> None:
        display.restore()
        os._exit(ExitCode.INTERRUPTED)

    def refresh() -> None:
        display.refresh()
        if report_failure is not None:
            for pipeline_id, error in group.take_failures():
                report_failure(pipeline_id, error)

    group.start()
    interrupted = False
    try:
        while group.is_alive:
            if interrupted:
                group.join(_TICK_SECONDS)
            elif signals.wait(_TICK_SECONDS):
                interrupted = True
                group.stop()
                display.say("stopping …")
                signal.signal(signal.SIGINT, exit_at_once)
            refresh()
    finally:
        group.close()
    refresh()
    return interrupted
