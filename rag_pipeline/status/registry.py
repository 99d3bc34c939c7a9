"""The pipelines of this process: who has which id, and who wants to hear of new ones.

The registry holds pipelines weakly: one that its owner let go of is gone. A running server holds those it serves.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rag_pipeline.common import native
from rag_pipeline.common.config import MAX_PIPELINE_ID_LENGTH, check_pipeline_id
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from rag_pipeline.status.core import StatusCore

logger = logging.getLogger("rag_pipeline.status")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")

Watcher = Callable[["StatusCore"], None]


def wished_ids(pipeline_type: str | None) -> Iterable[str]:
    """Yield ids for a pipeline that was given none: ``RAG_PIPELINE_ID``, ``<type>-<host>``, ``<type>-<host>-2`` …"""
    configured = os.environ.get("RAG_PIPELINE_ID", "").strip()
    if configured:
        try:
            yield check_pipeline_id("RAG_PIPELINE_ID", configured)
        except ConfigurationError:
            pass  # start_status_server reports it; importing the package must not fail for it
    host = _UNFIT.sub("-", socket.gethostname()) or "localhost"
    kind = (pipeline_type or "pipeline").replace("/", "-").replace("\\", "-")
    base = f"{kind}-{host}"[: MAX_PIPELINE_ID_LENGTH - 10]
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


class Registry:
    """Ids and watchers; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = native.RLock()
        self._by_id: weakref.WeakValueDictionary[str, StatusCore] = weakref.WeakValueDictionary()
        self._watchers: list[Watcher] = []

    def claim(self, pipeline: StatusCore, pipeline_id: str) -> StatusCore | None:
        """Give the id to the pipeline; return the one that had it before, None if it was free."""
        with self._lock:
            former = self._by_id.get(pipeline_id)
            self._release(pipeline)
            self._by_id[pipeline_id] = pipeline
        return former if former is not pipeline else None

    def claim_any(self, pipeline: StatusCore, pipeline_type: str | None) -> str:
        """Give the pipeline the first id that it wishes and no one has; return it."""
        with self._lock:
            self._release(pipeline)
            for wish in wished_ids(pipeline_type):
                if wish not in self._by_id:
                    self._by_id[wish] = pipeline
                    return wish
        raise AssertionError("the wishes never end")

    def remove(self, pipeline: StatusCore) -> None:
        """Forget the pipeline."""
        with self._lock:
            self._release(pipeline)

    def all(self) -> list[StatusCore]:
        """Return the pipelines alive, the oldest first."""
        with self._lock:
            return sorted(self._by_id.values(), key=lambda p: p.created)

    def announce(self, pipeline: StatusCore) -> None:
        """Tell the watchers of a new pipeline."""
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(pipeline)

    def watch(self, watcher: Watcher) -> list[StatusCore]:
        """Call ``watcher`` for each pipeline that comes from now on; return those that are there."""
        with self._lock:
            self._watchers.append(watcher)
            return self.all()

    def unwatch(self, watcher: Watcher) -> None:
        """End what :meth:`watch` began."""
        with self._lock:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def after_fork(self) -> None:
        """Start afresh in a forked child, which has no servers."""
        self._lock = native.RLock()
        self._watchers.clear()

    def _release(self, pipeline: StatusCore) -> None:
        for key in [k for k, p in self._by_id.items() if p is pipeline]:
            del self._by_id[key]


registry = Registry()
