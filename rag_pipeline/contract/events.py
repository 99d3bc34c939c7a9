"""The event that a mutation publishes; names of events and namespaces."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

NS_PIPELINE = "/pipeline"
NS_GOOGLE_DRIVE = "/google_drive"
NS_LOCAL_FILES = "/local_files"
NAMESPACES = (NS_GOOGLE_DRIVE, NS_LOCAL_FILES, NS_PIPELINE)
NS_ROOT = "/"
"""Another name for ``/pipeline``. It is resolved at the entrance: events and journals use ``/pipeline`` only."""
NAMESPACE_NAMES = (*NAMESPACES, NS_ROOT)
"""Every name that a client may use."""

STATUS = "pipeline:status"
FILE_STARTED = "pipeline:file_processing_started"
FILE_PROGRESS = "pipeline:file_progress"
FILE_COMPLETED = "pipeline:file_completed"
FILE_FAILED = "pipeline:file_failed"
FILE_SKIPPED = "pipeline:file_skipped"
FILE_DELETED = "pipeline:file_deleted"
EVENT_NAMES = (STATUS, FILE_STARTED, FILE_PROGRESS, FILE_COMPLETED, FILE_FAILED, FILE_SKIPPED, FILE_DELETED)

NO_RESUME_OFFSET = "0000000000000000-0"
"""The offset of events before the initial snapshot is complete: it can't be resumed from."""

_TYPED = {"google_drive": NS_GOOGLE_DRIVE, "local_files": NS_LOCAL_FILES}

Json = dict[str, Any]


def resolve_namespace(name: str) -> str:
    """Return ``/pipeline`` for ``/``, any other name unchanged."""
    return NS_PIPELINE if name == NS_ROOT else name


@lru_cache(maxsize=256)  # called for every event
def namespaces_of(*pipeline_types: str | None) -> tuple[str, ...]:
    """Return the namespaces for events of pipelines of these types: each type's own, and ``/pipeline``."""
    own = (_TYPED[t] for t in dict.fromkeys(pipeline_types) if t in _TYPED)
    return (*own, NS_PIPELINE)


def type_of(namespace: str) -> str | None:
    """Return the pipeline type of a namespace, None for ``/pipeline`` and ``/``."""
    return next((t for t, ns in _TYPED.items() if ns == namespace), None)


@lru_cache(maxsize=4096)  # every status has the times of up to 120 files again
def iso(at: float | None) -> str | None:
    """Return a wall-clock time in seconds as ISO 8601 in UTC with offset."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


class EventBody(Protocol):
    """The content of an event beside its envelope; immutable, encoded by whoever delivers it."""

    def to_json(self, at: float) -> Json:
        """Return the fields as of the wall-clock time ``at``."""
        ...


class PipelineEvent(NamedTuple):
    """One event of one pipeline; immutable, shared by everyone who delivers it.

    ``at`` is wall-clock seconds. A ``pipeline:status`` that only repeats the state (on connect, or after file events)
    has the ``seq`` of that state and is not ``numbered``. Every other event has a ``seq`` of its own, one above the one
    before.
    """

    name: str
    namespaces: tuple[str, ...]
    pipeline_id: str | None
    pipeline_type: str | None
    epoch: str | None
    seq: int
    at: float
    body: EventBody
    numbered: bool = True

    def payload(self) -> Json:
        """Return the event's only argument, a JSON object."""
        return {
            "pipeline_id": self.pipeline_id,
            "pipeline_type": self.pipeline_type,
            "epoch": self.epoch,
            "seq": self.seq,
            "timestamp": iso(self.at),
            **self.body.to_json(self.at),
        }
