"""``rag-pipeline local-files``: follows a folder, with the status service beside it."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from rag_pipeline.config import RunMode, read_str
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.ready import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.pipelines.ledger import Ledger
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.pipeline import STOP_SECONDS, LocalFilesPipeline
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.pipelines.stages import build_parts
from rag_pipeline.pipelines.state_folder import StateFolder
from rag_pipeline.pipelines.terminal import Service, Terminal
from rag_pipeline.signals import StopSignals
from rag_pipeline.status import PipelineStatus
from rag_pipeline.status.model import Totals

PIPELINE_TYPE = "local_files"
_TICK_SECONDS = 0.1


class StartService(Protocol):
    """Starts the service that shows a pipeline. It is handed in, since pipelines know nothing of servers."""

    def __call__(
        self, status: PipelineStatus, *, host: str | None, port: int | None, socket_port: int | None, state_dir: Path
    ) -> AbstractContextManager[Service]:
        """Return the running service; None stands for what the environment says."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dir", nargs="?", metavar="DIR", help="folder to follow (default: RAG_WATCH_DIRECTORY)")
    parser.add_argument("--once", action="store_true", help="make one pass and exit, as RUN_MODE=single does")
    parser.add_argument("--host", help="address both servers bind to (default: STATUS_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port of the HTTP server (default: STATUS_PORT, or 8003; 0: any)")
    parser.add_argument("--socket-port", type=int, metavar="PORT", help="port of Socket.IO (default: one above)")
    parser.add_argument(
        "--state-dir", type=Path, metavar="DIR", help="state folder (default: STATUS_STATE_DIR, or .rag_pipeline)"
    )
    parser.add_argument("--plain", action="store_true", help="print lines only, also in a terminal")


def run(args: argparse.Namespace, start_service: StartService) -> int:
    """Follow the folder until Ctrl+C or SIGTERM, or for one pass; return the exit code.

    Stopped as asked is 0; a single pass that was interrupted is 130, and one with a file that failed is 1. A second
    Ctrl+C exits at once: what was under way is done again at the next start.
    """
    settings = LocalFilesSettings.from_env(folder=args.dir, single=args.once, state_dir=args.state_dir)
    ingest = IngestSettings.from_env()
    check_installed(ingest)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        state = stack.enter_context(StateFolder(settings.state_dir, settings.state_dir_key))
        status = PipelineStatus(PIPELINE_TYPE)
        stack.callback(status.close)
        service = stack.enter_context(
            start_service(
                status, host=args.host, port=args.port, socket_port=args.socket_port, state_dir=settings.state_dir
            )
        )
        terminal = Terminal(status, live=False if args.plain else None)
        work = _Work(status, settings, ingest, state)
        try:
            terminal.start(service, names.display_name(settings.folder))
            interrupted = _follow(work, signals, terminal)
        finally:
            terminal.close(since=work.before if work.failure is None else None)
        if work.failure is not None:
            raise work.failure
        if settings.mode is RunMode.CONTINUOUS:
            return ExitCode.OK
        if interrupted:
            return ExitCode.INTERRUPTED
        failed = status.snapshot().totals.total_failed > work.before.total_failed
        return ExitCode.FILES_FAILED if failed else ExitCode.OK


def scope_of(settings: LocalFilesSettings) -> str:
    """Return the name under which the folder's files are kept: RAG_PIPELINE_ID, or else the folder itself.

    So several folders can share a state folder, and be searched together.
    """
    return read_str(os.environ, "RAG_PIPELINE_ID") or f"{PIPELINE_TYPE}:{names.file_id(settings.folder)}"


class _Work(threading.Thread):
    """The pipeline on a thread of its own; ``failure`` is what ended it, if anything did."""

    def __init__(
        self, status: PipelineStatus, settings: LocalFilesSettings, ingest: IngestSettings, state: StateFolder
    ) -> None:
        super().__init__(name="local-files", daemon=True)
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.before = Totals()  # of the runs before this one
        self._status = status
        self._settings = settings
        self._ingest = ingest
        self._state = state

    def run(self) -> None:
        try:
            self._run()
        except Stopped:
            self._status.update(status="stopped")
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.failure = error
            if isinstance(error, RagPipelineError):
                self._status.update(status="error", message=str(error))

    def _run(self) -> None:
        settings, scope = self._settings, scope_of(self._settings)
        self._status.update(status="initializing")
        self.before = self._status.snapshot().totals
        with Ledger(self._state.path, scope) as ledger:
            parts = build_parts(self._ingest, self._state.store, workers=settings.workers, stop=self.stop)
            try:
                LocalFilesPipeline(self._status, settings, parts, ledger, scope=scope).run(self.stop)
            finally:
                parts.close()


def _follow(work: _Work, signals: StopSignals, terminal: Terminal) -> bool:
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
