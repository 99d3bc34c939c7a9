"""The ids of this process's pipelines: which pipeline has which id."""

from __future__ import annotations

import os
import re
import socket
import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

from rag_pipeline.common import native
from rag_pipeline.common.pipeline_id import MAX_PIPELINE_ID_LENGTH, check_pipeline_id
from rag_pipeline.errors import ConfigurationError

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")

P = TypeVar("P")


def candidate_ids(pipeline_type: str | None) -> Iterator[str]:
    """Yield ids for a pipeline without one: ``RAG_PIPELINE_ID``, ``<type>-<host>``, ``<type>-<host>-2`` …"""
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


class PipelineIds(Generic[P]):
    """Maps ids to pipelines; safe to call from any thread.

    Pipelines are held weakly: an id is free again once the owner of its pipeline has dropped it.
    """

    def __init__(self) -> None:
        self._lock = native.RLock()
        self._by_id: weakref.WeakValueDictionary[str, P] = weakref.WeakValueDictionary()

    def claim(self, pipeline: P, pipeline_id: str) -> P | None:
        """Give the id to the pipeline; return the pipeline that had it before, None if it was free."""
        with self._lock:
            former = self._by_id.get(pipeline_id)
            self.release(pipeline)
            self._by_id[pipeline_id] = pipeline
        return former if former is not pipeline else None

    def claim_free(self, pipeline: P, pipeline_type: str | None) -> str:
        """Give the pipeline its first candidate id that is free; return it."""
        with self._lock:
            self.release(pipeline)
            free = next(text for text in candidate_ids(pipeline_type) if text not in self._by_id)
            self._by_id[free] = pipeline
            return free

    def release(self, pipeline: P) -> None:
        """Free the pipeline's id."""
        with self._lock:
            for key in [key for key, owner in self._by_id.items() if owner is pipeline]:
                del self._by_id[key]

    def pipelines(self) -> list[P]:
        """Return the pipelines that have an id."""
        with self._lock:
            return list(self._by_id.values())

    def after_fork(self) -> None:
        """Replace the lock in a forked child: a thread of the parent may have held it."""
        self._lock = native.RLock()
