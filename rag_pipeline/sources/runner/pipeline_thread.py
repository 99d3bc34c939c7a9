"""One pipeline among several: on a thread of its own, with its own state, and its failure is its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from rag_pipeline.common import logs
from rag_pipeline.errors import RagPipelineError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.ingestion import Parts
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.runner.command import Surroundings
from rag_pipeline.sources.runner.pipeline_config import Entry
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status import PipelineStatus

logger = logging.getLogger(__name__)


class Member:
    """A pipeline of the run; ``failure`` is what ended it, if anything did; ``prepared`` once it has reported."""

    def __init__(self, entry: Entry, status: PipelineStatus, state: StateFolder) -> None:
        self.entry = entry
        self.status = status
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.prepared = False
        self._state = state
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Show that it is about to begin."""
        self.status.update(status="initializing")
        self.prepared = True

    def start(self, parts: Parts, ledger: Ledger) -> None:
        """Begin to follow; ``parts`` are shared with the others, but for an extractor of its own."""
        self._thread = threading.Thread(
            target=self._run, args=(parts, ledger), name=f"run-{self.entry.pipeline_id}", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join()

    def end(self, failure: BaseException | None) -> None:
        """Note what ended it, None for a stop, and show it, unless the pipeline has done so itself."""
        self.failure = failure
        told = self.status.get()
        if failure is None:
            if told["status"] != "stopped":
                self.status.update(status="stopped")
            return
        known = isinstance(failure, RagPipelineError)
        message = str(failure) if known else f"{type(failure).__name__}: {failure}"
        if (told["status"], told.get("message")) != ("error", message):
            self.status.update(status="error", own={"message": message})

    def _run(self, parts: Parts, ledger: Ledger) -> None:
        try:
            self._follow(parts, ledger)
        except Stopped:
            self.end(None)
        except BaseException as error:
            if not isinstance(error, RagPipelineError):
                about = logs.about(self.entry.pipeline_id)
                logger.error("%s has ended: a mistake of ours", self.entry.pipeline_id, exc_info=error, extra=about)
            self.end(error)

    def _follow(self, parts: Parts, ledger: Ledger) -> None:
        task = self.entry.task
        own = with_own_extractor(parts, task.workers)
        try:
            around = Surroundings(self.status, own, ledger, task.scope, self._state, self.stop)
            with task.build(around) as pipeline:
                pipeline.run(self.stop)
        finally:
            own.extractor.close()


def with_own_extractor(parts: Parts, workers: int) -> Parts:
    """Return the parts with another extractor: a pipeline closes its own when it ends."""
    from rag_pipeline.ingest.extract import ProcessExtractor

    return replace(parts, extractor=ProcessExtractor(workers=workers))
