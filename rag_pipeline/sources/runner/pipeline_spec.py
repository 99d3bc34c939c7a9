"""Describes a pipeline to run, and what it gets from the runner."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rag_pipeline.common.config import RunMode
from rag_pipeline.common.env import read_str, reject_unset
from rag_pipeline.ingest.postgres_address import parse_address
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.state_folder import StateFolder
from rag_pipeline.status.pipeline import PipelineStatus


class Pipeline(Protocol):
    """A pipeline that can be run."""

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set, or to the end of a single pass."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """Objects that a pipeline is built from; all of them belong to the runner."""

    status: PipelineStatus
    stages: Stages
    ledger: Ledger
    collection: str
    state: StateFolder
    stop: threading.Event


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline to run.

    kind: the pipeline's type.
    title: the folder that it follows, for people.
    collection: names its files in the store and the ledger, see :func:`collection_name`.
    build: makes the pipeline; what it opens is closed when the block ends.
    pipeline_id: None for the default of the environment.
    """

    kind: str
    title: str
    collection: str
    workers: int
    build: Callable[[PipelineContext], AbstractContextManager[Pipeline]]
    pipeline_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings that all pipelines of a process share.

    state_dir_key: the setting that gave ``state_dir``, for messages.
    host, port, socket_port: addresses of the service; None for the defaults of the environment.
    """

    state_dir: Path
    state_dir_key: str
    mode: RunMode
    host: str | None = None
    port: int | None = None
    socket_port: int | None = None


def collection_name(kind: str, location: str) -> str:
    """Return the name of a location's files in the store and the ledger: RAG_PIPELINE_ID, or else the location.

    So several locations can share a state folder, and be searched together. Raises ConfigurationError if the store is
    shared and there is no id: another machine's folder may have the same path, and each pipeline would delete the
    other's files.
    """
    pipeline_id = read_str(os.environ, "RAG_PIPELINE_ID")
    store = read_str(os.environ, "RAG_STORE_URL")
    if pipeline_id is None and store is not None:
        parse_address("RAG_STORE_URL", store)  # a bad URL is the first thing to mend
        expected = "a name of this pipeline's own, because other machines may use the store of RAG_STORE_URL"
        reject_unset("RAG_PIPELINE_ID", expected)
    return pipeline_id or f"{kind}:{location}"
