"""The lines that a terminal shows: one for each finished file, a summary, and the addresses of the service."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rag_pipeline.common.printing import printable
from rag_pipeline.common.probe import reachable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NAMESPACES, PipelineEvent
from rag_pipeline.status.pipeline import PipelineStatus, core_of

MARKS = {"stored": "✓", "warned": "✓", "unchanged": "✓", "failed": "✗", "skipped": "–", "removed": "⌫"}
ASCII_MARKS = {"stored": "+", "warned": "+", "unchanged": "+", "failed": "!", "skipped": "-", "removed": "x"}
_MAX_REASONS = 1000  # different ones that are counted
_SHOWN_REASONS = 3
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
    reason: str = ""
    """Why the file was skipped."""


class SkipReasons:
    """Counts why files were skipped, for the summary."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def note(self, line: FileLine) -> None:
        """Count the line of a skipped file; any other changes nothing."""
        if line.kind == "skipped" and (line.reason in self._counts or len(self._counts) < _MAX_REASONS):
            self._counts[line.reason] += 1

    def text(self) -> str:
        """Return the most frequent reasons with their counts."""
        parts = [f"{count}: {reason}" for reason, count in self._counts.most_common(_SHOWN_REASONS)]
        more = sum(self._counts.values()) - sum(count for _, count in self._counts.most_common(_SHOWN_REASONS))
        return "; ".join([*parts, f"{more}: other reasons"] if more else parts)


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
        reason = _without_name(error["message"], file["name"])
        return FileLine("skipped", name, f"skipped: {reason}", reason)
    if event.name == events.FILE_DELETED:
        return FileLine("removed", name, "removed")
    kind, details = _completed(file, result)
    warnings = warnings_text(file["warnings"])
    return FileLine("warned", name, f"{details}; {warnings}") if warnings else FileLine(kind, name, details)


def warnings_text(warnings: Sequence[Mapping[str, Any]]) -> str:
    """Return how many warnings a file has, and the first one; "" if it has none."""
    if not warnings:
        return ""
    count = "warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    return f"{count}: {printable(' '.join(str(warnings[0]['message']).split()))}"


def _completed(file: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[str, str]:
    """Return kind and details of a completed file."""
    if "renamed_from" in result:
        return "unchanged", f"renamed, was {printable(result['renamed_from'])}"
    if "chunks" not in result:
        return "unchanged", "unchanged"
    duration = "" if file["duration_seconds"] is None else f"{file['duration_seconds']:.1f} s"
    return "stored", f"{result['chunks']} chunk{'' if result['chunks'] == 1 else 's'}, {duration}"


def summary(status: PipelineStatus, began: float, skipped_because: SkipReasons) -> str:
    """Return what this process did since ``began`` (monotonic), in one line.

    If it only skipped files, the line says so, and why.
    """
    processed, failed, skipped, deleted, warned = core_of(status).snapshot().attempts
    seconds = time.monotonic() - began
    if skipped and not processed and not failed:
        files = "the only file was" if skipped == 1 else f"all {skipped} files were"
        removed = f", {deleted} removed" if deleted else ""
        return f"0 files stored: {files} skipped ({skipped_because.text()}){removed} in {seconds:.1f} s"
    with_warnings = f", {warned} with warnings" if warned else ""
    counts = f"{processed} stored, {failed} failed, {skipped} skipped, {deleted} removed{with_warnings}"
    return f"{counts} in {seconds:.1f} s"


def _without_name(message: str, name: str) -> str:
    """Return the message without the file's name at its start, because the line begins with the name."""
    starts = (given + after for given in (name, name.rsplit("/", 1)[-1]) for after in (" ", ": "))
    start = next(filter(message.startswith, starts), "")
    return printable(" ".join(message[len(start) :].split()))
