"""All pipelines of a run: one model and one store for all of them, loaded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.following.pipeline import STOP_SECONDS
from rag_pipeline.sources.ingestion import Parts
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.pipeline_thread import Member
from rag_pipeline.status import core_of

Build = Callable[[threading.Event], Parts]
"""Loads the model and opens the store; raises Stopped once the event is set."""


class Team:
    """Runs the members until all have ended; ``failure`` is what kept all of them from beginning, if anything did.

    Ledgers lie in ``state_dir``, one for each member under its id.
    """

    def __init__(self, members: Sequence[Member], build: Build, state_dir: Path) -> None:
        self.members = tuple(members)
        self.failure: BaseException | None = None
        self._build = build
        self._state_dir = state_dir
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="run", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether any of it still runs."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of all, at most so long."""
        self._thread.join(timeout_seconds)

    def stop(self) -> None:
        """Ask all to end; returns at once."""
        self._stop.set()
        for member in self.members:
            member.stop.set()

    def close(self) -> None:
        """Ask all to end, and wait for it within bounds."""
        self.stop()
        self._thread.join(2 * STOP_SECONDS)

    def exit_code(self, mode: RunMode, *, interrupted: bool) -> int:
        """Return what the command exits with, once all have ended; raises a failure that is a mistake of ours.

        It is the code of the first pipeline in the file that could not go on, whatever became of the others.
        """
        if self.failure is not None:
            raise self.failure
        failures = [member.failure for member in self.members if member.failure is not None]
        told = [failure for failure in failures if isinstance(failure, RagPipelineError)]
        for failure in failures:
            if failure not in told:
                raise failure
        if interrupted:
            return ExitCode.OK if mode is RunMode.CONTINUOUS else ExitCode.INTERRUPTED
        if told:
            return told[0].exit_code
        return ExitCode.FILES_FAILED if any(map(_has_failed_files, self.members)) else ExitCode.OK

    def _run(self) -> None:
        for member in self.members:
            member.prepare()
        try:
            parts = self._build(self._stop)
        except Stopped:
            self._end_all(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.failure = error
            self._end_all(error)
        else:
            self._follow_all(parts)

    def _follow_all(self, parts: Parts) -> None:
        with ExitStack() as stack:
            stack.callback(parts.close)
            try:
                # One after the other: the first makes the file that they share.
                ledgers = [stack.enter_context(Ledger(self._state_dir, m.entry.pipeline_id)) for m in self.members]
            except BaseException as error:  # noqa: BLE001 - as above
                self.failure = error
                self._end_all(error)
                return
            for member, ledger in zip(self.members, ledgers, strict=True):
                member.start(parts, ledger)
            for member in self.members:
                member.join()

    def _end_all(self, failure: BaseException | None) -> None:
        for member in self.members:
            member.end(failure)


def _has_failed_files(member: Member) -> bool:
    return core_of(member.status).snapshot().attempts.total_failed > 0
