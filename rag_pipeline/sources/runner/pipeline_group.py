"""A group of pipelines in one process: they share one model and one store, which are loaded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from rag_pipeline.common.config import RunMode
from rag_pipeline.errors import ExitCode, RagPipelineError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.following.pipeline import STOP_SECONDS
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.pipeline_thread import PipelineThread
from rag_pipeline.sources.stages import Stages
from rag_pipeline.status.pipeline import core_of

BuildStages = Callable[[threading.Event], Stages]
"""Loads the model and opens the store; raises Stopped once the event is set."""


class PipelineGroup:
    """Runs the pipelines until all have ended; ``failure`` is the error that kept all of them from starting, if any.

    The ledgers are in ``state_dir``, one for each collection.
    """

    def __init__(self, threads: Sequence[PipelineThread], build_stages: BuildStages, state_dir: Path) -> None:
        self.threads = tuple(threads)
        self.failure: BaseException | None = None
        self._build_stages = build_stages
        self._state_dir = state_dir
        self._stop = threading.Event()
        self._reported: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="run", daemon=True)

    def start(self) -> None:
        """Start all pipelines."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether any of the pipelines still runs."""
        return self._thread.is_alive()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of all pipelines, up to the timeout."""
        self._thread.join(timeout_seconds)

    def stop(self) -> None:
        """Ask all pipelines to end; returns at once."""
        self._stop.set()
        for thread in self.threads:
            thread.stop.set()

    def close(self) -> None:
        """Ask all pipelines to end, and wait for it within bounds."""
        self.stop()
        self._thread.join(2 * STOP_SECONDS)

    def take_failures(self) -> Iterator[tuple[str, RagPipelineError]]:
        """Yield id and error of each pipeline that has failed since the last call, unless nothing could start."""
        for thread in self.threads:
            failure, pipeline_id = thread.failure, thread.pipeline_id
            if failure is self.failure or pipeline_id in self._reported:
                continue
            if isinstance(failure, RagPipelineError):
                self._reported.add(pipeline_id)
                yield pipeline_id, failure

    def raise_failure(self) -> None:
        """Raise the first failure, if there is any."""
        for failure in (self.failure, *(thread.failure for thread in self.threads)):
            if failure is not None:
                raise failure

    def exit_code(self, mode: RunMode, *, interrupted: bool) -> int:
        """Return the exit code, once all pipelines have ended; raises a failure that is a bug.

        It is the code of the first pipeline in the group that failed, whatever happened to the others.
        """
        if self.failure is not None:
            raise self.failure
        failures = [thread.failure for thread in self.threads if thread.failure is not None]
        errors = [failure for failure in failures if isinstance(failure, RagPipelineError)]
        for failure in failures:
            if failure not in errors:
                raise failure
        if interrupted:
            return ExitCode.OK if mode is RunMode.CONTINUOUS else ExitCode.INTERRUPTED
        if errors:
            return errors[0].exit_code
        return ExitCode.FILES_FAILED if any(map(_has_failed_files, self.threads)) else ExitCode.OK

    def _run(self) -> None:
        for thread in self.threads:
            thread.prepare()
        try:
            with ExitStack() as stack:
                # One after the other: the first creates the file that they share.
                ledgers = [stack.enter_context(Ledger(self._state_dir, t.spec.collection)) for t in self.threads]
                stages = self._build_stages(self._stop)
                stack.callback(stages.close)
                for thread, ledger in zip(self.threads, ledgers, strict=True):
                    thread.start(stages, ledger)
                for thread in self.threads:
                    thread.join()
        except Stopped:
            self._end_all(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self.failure = error
            self._end_all(error)

    def _end_all(self, failure: BaseException | None) -> None:
        for thread in self.threads:
            thread.end(failure)


def _has_failed_files(thread: PipelineThread) -> bool:
    return core_of(thread.status).snapshot().attempts.total_failed > 0
