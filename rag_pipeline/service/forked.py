"""Forked children of a process that runs a server: what they report is shown to no one, which one line says."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator

from rag_pipeline.contract.events import Event
from rag_pipeline.status import Published, StatusCore, registry

logger = logging.getLogger("rag_pipeline.status")


class OnceForAll:
    """A permission that is given once, to this process or one that is forked from it."""

    def __init__(self) -> None:
        # A pipe with one byte: whoever reads it has the permission, and it works between processes.
        self._fd, fd = os.pipe()
        os.set_blocking(self._fd, False)
        os.write(fd, b"1")
        os.close(fd)

    def take(self) -> bool:
        """Return True to the first that asks."""
        try:
            return os.read(self._fd, 1) != b""
        except OSError:
            return False

    def close(self) -> None:
        """Release the descriptor; idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class Unheard:
    """The sink of pipelines in a forked child, until it starts a server of its own; the first report says so."""

    def __init__(self, permission: OnceForAll) -> None:
        self._permission = permission
        self._pipelines: list[StatusCore] = []
        self._listening = False
        self._later = False

    def attach(self, pipeline: StatusCore) -> None:
        """Wait for a report of the pipeline."""
        self._listening = False  # attaching publishes the state as it stands, which is no report
        pipeline.attach(self)
        self._pipelines.append(pipeline)
        self._listening = True

    def publish_all(self, items: Iterator[Published]) -> None:
        """Say once that a report is shown to no one."""
        if not any(isinstance(item, Event) for item in list(items)) or not self._listening:
            return
        self.end()
        if self._permission.take():
            logger.warning(
                "this process (%d) was forked from one that runs a status server (%d): what it reports is shown to no "
                "one. Report from the parent, or set STATUS_REDIS_URL and start a server in each process",
                os.getpid(),
                os.getppid(),
            )

    def watch(self) -> None:
        """Wait for reports of pipelines that are made from now on too."""
        self._later = True
        registry.watch(self.attach)

    def renew(self) -> None:
        """Wait for reports in a forked child of the child too: pipelines have no sinks there."""
        pipelines, self._pipelines = self._pipelines, []
        for pipeline in pipelines:
            self.attach(pipeline)
        if self._later:
            self.watch()

    def end(self) -> None:
        """Wait no longer; idempotent."""
        self._listening = self._later = False
        registry.unwatch(self.attach)
        pipelines, self._pipelines = self._pipelines, []
        for pipeline in pipelines:
            pipeline.detach(self)


_unheard: list[Unheard] = []


def begin_unheard(permission: OnceForAll, pipelines: Iterable[StatusCore], *, later: bool) -> None:
    """In a forked child, have the first report say that no one sees it; ``later`` includes pipelines made later."""
    unheard = Unheard(permission)
    for pipeline in pipelines:
        unheard.attach(pipeline)
    if later:
        unheard.watch()
    _unheard.append(unheard)


def renew_unheard() -> None:
    """Go on with what :func:`begin_unheard` began in the parent, which is a forked child itself."""
    for unheard in _unheard:
        unheard.renew()


def end_unheard() -> None:
    """Say nothing: this process has a server of its own."""
    while _unheard:
        _unheard.pop().end()
