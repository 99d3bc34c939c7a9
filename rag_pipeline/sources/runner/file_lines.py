"""The lines that a terminal shows: one for each finished file, a summary, and the addresses of the service."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Protocol

from rag_pipeline.common.printing import printable
from rag_pipeline.common.probe import reachable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NAMESPACES, PipelineEvent
from rag_pipeline.status.pipeline import PipelineStatus, core_of

MARKS = {"stored": "✓", "unchanged": "✓", "failed": "✗", "skipped": "–", "removed": "⌫"}
ASCII_MARKS = {"stored": "+", "unchanged": "+", "failed": "!", "skipped": "-", "removed": "x"}
_ENDS = frozenset({events.FILE_COMPLETED, events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED})


class Service(Protocol):
    """The part of the running service that a terminal shows."""

    host: str
    http_port: int
    socket_port: int


class FileLine(NamedTuple):
    """A finished file; ``kind`` is a key of :data:`MARKS`."""

    kind: str
    name: str
    details: str


def address_rows(service: Service) -> list[tuple[str, str]]:
    """Return the addresses of the service, with what is there."""
    host = reachable(service.host)
    host = f"[{host}]" if ":" in host else host
    http, sockets = f"http://{host}:{service.http_port}", f"http://{host}:{service.socket_port}"
    return [
        ("Dashboard", f"{http}/"),
        ("Status", f"{http}/status"),
        ("Health", f"{http}/health"),
        ("Socket.IO", f"{sockets}   namespaces {' '.join(NAMESPACES)}"),
    ]


def format_rows(rows: list[tuple[str, str]]) -> str:
    """Return the rows as aligned lines."""
    return "\n".join(f"{name:<11}{value}" for name, value in rows) + "\n"


def file_line(event: PipelineEvent) -> FileLine | None:
    """Return the line for an event, None if the event does not end a file."""
    if event.name not in _ENDS:
        return None
    file: dict[str, Any] = event.payload()["file"]
    name = printable(file["name"])
    error, result = file["error"], file["result"] or {}
    if event.name == events.FILE_FAILED:
        return FileLine(
            "failed", name, f"{error['stage'] or 'failed'}: {_without_name(error['message'], file['name'])}"
        )
    if event.name == events.FILE_SKIPPED:
        return FileLine("skipped", name, f"skipped: {_without_name(error['message'], file['name'])}")
    if event.name == events.FILE_DELETED:
        return FileLine("removed", name, "removed")
    if "renamed_from" in result:
        return FileLine("unchanged", name, f"renamed, was {printable(result['renamed_from'])}")
    if "chunks" not in result:
        return FileLine("unchanged", name, "unchanged")
    duration = "" if file["duration_seconds"] is None else f"{file['duration_seconds']:.1f} s"
    return FileLine("stored", name, f"{result['chunks']} chunk{'' if result['chunks'] == 1 else 's'}, {duration}")


def summary(status: PipelineStatus, began: float) -> str:
    """Return what this process did since ``began`` (monotonic), in one line."""
    processed, failed, skipped, deleted = core_of(status).snapshot().attempts
    seconds = time.monotonic() - began
    return f"{processed} stored, {failed} failed, {skipped} skipped, {deleted} removed in {seconds:.1f} s"


def _without_name(message: str, name: str) -> str:
    """Return the message without the file's name at its start, because the line begins with the name."""
    starts = (given + after for given in (name, name.rsplit("/", 1)[-1]) for after in (" ", ": "))
    start = next(filter(message.startswith, starts), "")
    return printable(" ".join(message[len(start) :].split()))
