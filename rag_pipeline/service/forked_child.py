"""Forked children of a process that runs a server: their reports are shown nowhere, and the first one says so."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.registry import registry
from rag_pipeline.status.sinks import Published

logger = logging.getLogger("rag_pipeline.status")


class OneTimePermit:
    """A permit that one process can take: this one, or a process forked from it."""

    def __init__(self) -> None:
        # A pipe with one byte: whoever reads it has the permit, and processes share the pipe.
        self._fd, fd = os.pipe()
        os.set_blocking(self._fd, False)
        os.write(fd, b"1")
        os.close(fd)

    def take(self) -> bool:
        """Return True to the first caller only."""
        try:
            return os.read(self._fd, 1) != b""
        except OSError:
            return False

    def close(self) -> None:
        """Close the pipe; idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class UnheardReports:
    """The sink of pipelines in a forked child, until the child starts a server. It warns of the first report."""

    def __init__(self, permit: OneTimePermit) -> None:
        self._permit = permit
        self._pipelines: list[StatusCore] = []
        self._listening = False
        self._includes_later = False

    def attach(self, pipeline: StatusCore) -> None:
        """Watch for reports of the pipeline."""
        self._listening = False  # attaching publishes the current state, which is not a report
        pipeline.attach(self)
        self._pipelines.append(pipeline)
        self._listening = True

    def publish_all(self, items: Iterator[Published]) -> None:
        """Warn once that a report is shown nowhere."""
        if not any(isinstance(item, PipelineEvent) for item in list(items)) or not self._listening:
            return
        self.end()
        if self._permit.take():
            logger.warning(
                "this process (%d) was forked from a process that runs a status server (%d): its reports are shown "
                "nowhere. Report from the parent, or set STATUS_REDIS_URL and start a server in each process",
                os.getpid(),
                os.getppid(),
            )

    def watch_later_ones(self) -> None:
        """Watch for reports of pipelines that are created from now on too."""
        self._includes_later = True
        registry.watch(self.attach)

    def renew(self) -> None:
        """Watch again in a forked child of the child: pipelines have no sinks there."""
        pipelines, self._pipelines = self._pipelines, []
        for pipeline in pipelines:
            self.attach(pipeline)
        if self._includes_later:
            self.watch_later_ones()

    def end(self) -> None:
        """Stop watching; idempotent."""
        self._listening = self._includes_later = False
        registry.unwatch(self.attach)
        pipelines, self._pipelines = self._pipelines, []
        for pipeline in pipelines:
            pipeline.detach(self)


_watching: list[UnheardReports] = []


def watch_for_reports(permit: OneTimePermit, pipelines: Iterable[StatusCore], *, later: bool) -> None:
    """Warn of the first report in a forked child; ``later`` includes pipelines that are created later."""
    unheard = UnheardReports(permit)
    for pipeline in pipelines:
        unheard.attach(pipeline)
    if later:
        unheard.watch_later_ones()
    _watching.append(unheard)


def renew_watch() -> None:
    """Continue :func:`watch_for_reports` in a forked child of the child."""
    for unheard in _watching:
        unheard.renew()


def end_watch() -> None:
    """Stop watching: this process starts a server of its own."""
    while _watching:
        _watching.pop().end()
