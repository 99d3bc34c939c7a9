"""Runs one pipeline of a group on its own thread; its failure does not affect the others."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from rag_pipeline.common import logs
from rag_pipeline.errors import RagPipelineError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.pipeline_spec import PipelineContext, PipelineSpec
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.pipeline import PipelineStatus

logger = logging.getLogger(__name__)


class PipelineThread:
    """One pipeline; ``failure`` is the error that ended it, if any; ``is_prepared`` once it has shown a status."""

    def __init__(self, spec: PipelineSpec, status: PipelineStatus, state: StateFolder) -> None:
        self.spec = spec
        self.status = status
        self.pipeline_id = status.pipeline_id
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.is_prepared = False
        self._state = state
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Show that the pipeline is about to start."""
        self.status.update(status="initializing")
        self.is_prepared = True

    def start(self, stages: Stages, ledger: Ledger) -> None:
        """Start the pipeline; ``stages`` are shared with the others, except for the extractor."""
        self._thread = threading.Thread(
            target=self._run, args=(stages, ledger), name=f"run-{self.pipeline_id}", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait until the pipeline has ended."""
        if self._thread is not None:
            self._thread.join()

    def end(self, failure: BaseException | None) -> None:
        """Record the error that ended the pipeline, None for a stop, and show it unless the pipeline has done so."""
        self.failure = failure
        state = self.status.get()
        if failure is None:
            if state["status"] != "stopped":
                self.status.update(status="stopped")
            return
        is_expected = isinstance(failure, RagPipelineError)
        message = str(failure) if is_expected else f"{type(failure).__name__}: {failure}"
        if (state["status"], state.get("message")) != ("error", message):
            self.status.update(status="error", own={"message": message})

    def _run(self, stages: Stages, ledger: Ledger) -> None:
        try:
            self._run_pipeline(stages, ledger)
        except Stopped:
            self.end(None)
        except BaseException as error:
            if not isinstance(error, RagPipelineError):
                about = logs.about(self.pipeline_id)
                logger.error("%s has ended because of a bug", self.pipeline_id, exc_info=error, extra=about)
            self.end(error)

    def _run_pipeline(self, stages: Stages, ledger: Ledger) -> None:
        own = with_own_extractor(stages, self.spec.workers)
        try:
            context = PipelineContext(self.status, own, ledger, self.spec.collection, self._state, self.stop)
            with self.spec.build(context) as pipeline:
                pipeline.run(self.stop)
        finally:
            own.extractor.close()


def with_own_extractor(stages: Stages, workers: int) -> Stages:
    """Return the stages with a new extractor, because a pipeline closes its extractor when it ends."""
    from rag_pipeline.ingest.extract import ProcessExtractor

    if not isinstance(stages.extractor, ProcessExtractor):
        return replace(stages, extractor=ProcessExtractor(workers=workers))
    limits, options = stages.extractor.limits, stages.extractor.options
    return replace(stages, extractor=ProcessExtractor(limits, workers=workers, options=options))
