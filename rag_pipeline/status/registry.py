"""The pipelines of this process, and the watchers of new ones.

Pipelines are held weakly: one that its owner has dropped is gone. A running server holds the pipelines that it serves.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rag_pipeline.common import native
from rag_pipeline.status.core import StatusCore, pipeline_ids
from rag_pipeline.status.identity import PipelineIds

OnPipeline = Callable[[StatusCore], None]


class Registry:
    """Lists pipelines and announces new ones; safe to call from any thread."""

    def __init__(self, ids: PipelineIds[StatusCore]) -> None:
        self._ids = ids
        self._lock = native.RLock()
        self._watchers: list[OnPipeline] = []

    def all(self) -> list[StatusCore]:
        """Return the pipelines alive, the oldest first."""
        return sorted(self._ids.pipelines(), key=lambda pipeline: pipeline.created)

    def announce(self, pipeline: StatusCore) -> None:
        """Tell the watchers of a new pipeline."""
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(pipeline)

    def watch(self, watcher: OnPipeline) -> list[StatusCore]:
        """Call ``watcher`` for each pipeline that is announced from now on; return those that exist."""
        with self._lock:
            self._watchers.append(watcher)
            return self.all()

    def unwatch(self, watcher: OnPipeline) -> None:
        """Call ``watcher`` no more; idempotent."""
        with self._lock:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def after_fork(self) -> None:
        """Start afresh in a forked child, which has no servers."""
        self._lock = native.RLock()
        self._watchers.clear()


registry = Registry(pipeline_ids)

os.register_at_fork(after_in_child=registry.after_fork)
