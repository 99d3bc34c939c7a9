"""``rag-pipeline run``: the pipelines of a file, together in one process, on one service."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from rag_pipeline.common.exit import print_error
from rag_pipeline.common.printing import say
from rag_pipeline.common.stop_signals import StopSignals
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import note_new_default
from rag_pipeline.sources.runner.pipeline_group import PipelineGroup
from rag_pipeline.sources.runner.pipeline_spec import add_confirm_argument
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread
from rag_pipeline.sources.runner.prefixed_lines import Place, PrefixedLines
from rag_pipeline.sources.runner.run_file import RunFile, read_file
from rag_pipeline.sources.runner.terminal import Service
from rag_pipeline.sources.stages import build_stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import PipelineStatus

PROGRAM = "rag-pipeline"
STORE_KEY = "RAG_STORE_URL"
_TICK_SECONDS = 0.1


class StartServices(Protocol):
    """Starts the service that shows the pipelines. It is handed in, since pipelines know nothing of servers."""

    def __call__(
        self,
        statuses: Sequence[PipelineStatus],
        *,
        host: str | None,
        port: int | None,
        socket_port: int | None,
        state_dir: Path,
    ) -> AbstractContextManager[Service]:
        """Return the running service; None stands for what the environment says."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="TOML file that names the pipelines")
    parser.add_argument("--check", action="store_true", help="say whether the file can be run, and do no more")
    parser.add_argument("--once", action="store_true", help="make one pass each and exit, as RUN_MODE=single does")
    add_confirm_argument(parser)


def run(args: argparse.Namespace, start_services: StartServices) -> int:
    """Run the pipelines until Ctrl+C or SIGTERM, or for one pass each; return the exit code.

    A pipeline that can't go on is told in one line, and the others go on; if none is left, the code is that of the
    first. Stopped as asked is 0; single passes that were interrupted are 130, and with a file that failed 1.
    """
    file = read_file(args.file, single=args.once, confirm_deletions=args.confirm_deletions)
    ingest = IngestSettings.from_env(environment(file))
    check_installed(ingest)
    if args.check:
        return check(args.file, file)
    note = note_new_default(file.state_dir, f"state_dir in {args.file} or STATUS_STATE_DIR")
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        state = stack.enter_context(StateFolder(file.state_dir, file.state_dir_key))
        statuses = [PipelineStatus(entry.kind, entry.pipeline_id) for entry in file.pipelines]
        for status in statuses:
            stack.callback(status.close)
        service = stack.enter_context(
            start_services(
                statuses, host=file.host, port=file.port, socket_port=file.socket_port, state_dir=file.state_dir
            )
        )
        lines = PrefixedLines(statuses)
        members = [PipelineThread(entry, status, state) for entry, status in zip(file.pipelines, statuses, strict=True)]
        team = PipelineGroup(members, lambda stop: build_stages(ingest, state.store, workers=1, stop=stop), state.path)
        try:
            lines.start(service, [Place(e.pipeline_id, e.kind, e.task.title) for e in file.pipelines])
            if note is not None:
                lines.say(note)
            interrupted = follow(team, signals, lines)
        finally:
            lines.close({m.entry.pipeline_id for m in members if m.failure is None and m.prepared})
        return team.exit_code(file.mode, interrupted=interrupted)


def check(path: Path, file: RunFile) -> int:
    """Say for each pipeline whether it could begin now; return 0, or the exit code of the first that could not."""
    code: int = ExitCode.OK
    for entry in file.pipelines:
        try:
            entry.verify()
        except RagPipelineError as error:
            print_error(PROGRAM, f"{path}: {entry.pipeline_id}: {error}")
            code = code or error.exit_code
    if code == ExitCode.OK:
        count = len(file.pipelines)
        say(f"{path}: {count} pipeline{'' if count == 1 else 's'}, nothing wrong")
    return code


def environment(file: RunFile) -> Mapping[str, str]:
    """Return the environment, with the store that the file names."""
    if file.store_url is None:
        return dict(os.environ)
    others = {key: value for key, value in os.environ.items() if key != f"{STORE_KEY}_FILE"}
    return {**others, STORE_KEY: file.store_url}


def follow(team: PipelineGroup, signals: StopSignals, lines: PrefixedLines) -> bool:
    """Wait for the end of all, and print what happens meanwhile; return whether they were asked to stop.

    A second Ctrl+C exits at once: what was under way is done again at the next start.
    """
    told: set[str] = set()
    team.start()
    interrupted = False
    try:
        while team.alive:
            if interrupted:
                team.join(_TICK_SECONDS)
            elif signals.wait(_TICK_SECONDS):
                interrupted = True
                team.stop()
                lines.say("stopping …")
                signal.signal(signal.SIGINT, lambda *_: os._exit(ExitCode.INTERRUPTED))
            lines.tick()
            _tell_failures(team, told)
    finally:
        team.close()
    _tell_failures(team, told)
    return interrupted


def _tell_failures(team: PipelineGroup, told: set[str]) -> None:
    for member in team.members:
        failure, name = member.failure, member.entry.pipeline_id
        if isinstance(failure, RagPipelineError) and failure is not team.failure and name not in told:
            told.add(name)
            print_error(PROGRAM, f"{name}: {failure}")
