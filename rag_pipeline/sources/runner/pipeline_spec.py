"""What the commands of all pipelines share: one pipeline on a thread, the service and the terminal beside it."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rag_pipeline.common.config import RunMode, read_str, reject
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import note_new_default
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.following.pipeline import STOP_SECONDS
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.terminal import Service, Terminal
from rag_pipeline.sources.stages import Stages, build_stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import PipelineStatus, core_of

_TICK_SECONDS = 0.1


class StartService(Protocol):
    """Starts the service that shows a pipeline. It is handed in, since pipelines know nothing of servers."""

    def __call__(
        self, status: PipelineStatus, *, host: str | None, port: int | None, socket_port: int | None, state_dir: Path
    ) -> AbstractContextManager[Service]:
        """Return the running service; None stands for what the environment says."""
        ...


class Pipeline(Protocol):
    """What a command runs."""

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, or to the end of a single pass."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """What a pipeline is built into; all of it belongs to the command."""

    status: PipelineStatus
    parts: Stages
    ledger: Ledger
    scope: str
    state: StateFolder
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """What a command is to run: a pipeline, with all that is known before it is built.

    kind: the pipeline's type.
    title: the folder as people know it.
    scope: the name under which its files are kept, see :func:`scope_of`.
    build: makes the pipeline; what it opens is closed when the block ends.
    """

    kind: str
    title: str
    scope: str
    mode: RunMode
    workers: int
    state_dir: Path
    state_dir_key: str
    build: Callable[[PipelineContext], AbstractContextManager[Pipeline]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that all such commands have."""
    parser.add_argument("--once", action="store_true", help="make one pass and exit, as RUN_MODE=single does")
    add_confirm_argument(parser)
    parser.add_argument("--host", help="address both servers bind to (default: STATUS_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the HTTP server (default: STATUS_PORT, or 8003; 0: any)")
    parser.add_argument("--socket-port", type=int, metavar="PORT", help="port of Socket.IO (default: one above)")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="state folder (default: STATUS_STATE_DIR, or .rag_pipeline)"
    )
    parser.add_argument("--plain", action="store_true", help="print lines only, also in a terminal")


def add_confirm_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that confirms mass deletions in advance."""
    parser.add_argument(
        "--confirm-deletions",
        action="store_true",
        help="delete the files that the first look does not find, however many they are",
    )


def collection_name(kind: str, place: str) -> str:
    """Return the name under which a place's files are kept: RAG_PIPELINE_ID, or else the place itself.

    So several places can share a state folder, and be searched together. Raises ConfigurationError without an id where
    the store is shared: another machine's folder may have the same path, and each would take the other's for gone.
    """
    named = read_str(os.environ, "RAG_PIPELINE_ID")
    if named is None and read_str(os.environ, "RAG_STORE_URL") is not None:
        expected = "a name of this pipeline's own, since other machines may use the store of RAG_STORE_URL"
        reject("RAG_PIPELINE_ID", "", expected)
    return named or f"{kind}:{place}"


def run(args: argparse.Namespace, task: PipelineSpec, start_service: StartService) -> int:
    """Run the pipeline until Ctrl+C or SIGTERM, or for one pass; return the exit code.

    Stopped as asked is 0; a single pass that was interrupted is 130, one that holds deletions is 12, and one with a
    file that failed is 1. A second Ctrl+C exits at once: what was under way is done again at the next start.
    """
    ingest = IngestSettings.from_env()
    check_installed(ingest)
    note = note_new_default(task.state_dir, "--state-dir or STATUS_STATE_DIR")
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        state = stack.enter_context(StateFolder(task.state_dir, task.state_dir_key))
        status = PipelineStatus(task.kind)
        stack.callback(status.close)
        service = stack.enter_context(
            start_service(
                status, host=args.host, port=args.port, socket_port=args.socket_port, state_dir=task.state_dir
            )
        )
        terminal = Terminal(status, live=False if args.plain else None)
        work = Work(status, task, ingest, state)
        try:
            terminal.start(service, task.title)
            if note is not None:
                terminal.say(note)
            interrupted = _follow(work, signals, terminal)
        finally:
            terminal.close(summarize=work.failure is None)
        if work.failure is not None:
            raise work.failure
        if task.mode is RunMode.CONTINUOUS:
            return ExitCode.OK
        if interrupted:
            return ExitCode.INTERRUPTED
        failed = core_of(status).snapshot().attempts.total_failed > 0
        return ExitCode.FILES_FAILED if failed else ExitCode.OK


class Work(threading.Thread):
    """The pipeline on a thread of its own; ``failure`` is what ended it, if anything did."""

    def __init__(self, status: PipelineStatus, task: PipelineSpec, ingest: IngestSettings, state: StateFolder) -> None:
        super().__init__(name=task.kind.replace("_", "-"), daemon=True)
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._status = status
        self._task = task
        self._ingest = ingest
        self._state = state

    def run(self) -> None:
        """Run the pipeline to its end, and show how it ended."""
        try:
            self._run()
        except Stopped:
            self._status.update(status="stopped")
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.failure = error
            if isinstance(error, RagPipelineError):
                self._status.update(status="error", own={"message": str(error)})

    def _run(self) -> None:
        task = self._task
        self._status.update(status="initializing")
        with Ledger(self._state.path, task.scope) as ledger:
            parts = build_stages(self._ingest, self._state.store, workers=task.workers, stop=self.stop)
            try:
                around = PipelineContext(self._status, parts, ledger, task.scope, self._state, self.stop)
                with task.build(around) as pipeline:
                    pipeline.run(self.stop)
            finally:
                parts.close()


def _follow(work: Work, signals: StopSignals, terminal: Terminal) -> bool:
    """Wait for the end of the work, and see to the terminal meanwhile; return whether it was asked to stop."""

    def exit_at_once(*_: object) -> None:
        terminal.restore()
        os._exit(ExitCode.INTERRUPTED)

    work.start()
    interrupted = False
    try:
        while work.is_alive():
            if interrupted:
                work.join(_TICK_SECONDS)
            elif signals.wait(_TICK_SECONDS):
                interrupted = True
                work.stop.set()
                terminal.say("stopping …")
                signal.signal(signal.SIGINT, exit_at_once)
            terminal.tick()
    finally:
        work.stop.set()
        work.join(2 * STOP_SECONDS)
    return interrupted
