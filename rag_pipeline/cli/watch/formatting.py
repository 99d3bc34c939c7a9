"""Formats states, files and times as text, for the lines and the screen."""

from __future__ import annotations

from rag_pipeline.common.printing import printable
from rag_pipeline.contract.events import Json
from rag_pipeline.sources.runner.file_lines import warnings_text

MAX_CHARACTERS = 500


def duration(seconds: float) -> str:
    """Return a time span as rounded text, such as ``3 min 20 s``."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" if whole >= 600 else f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def one_line(text: str) -> str:
    """Return the text as one line of bounded length without control characters."""
    return printable(" ".join(text[: 2 * MAX_CHARACTERS].split()))[:MAX_CHARACTERS]


def counts(state: Json) -> list[str]:
    """Return how many files are done, failed, skipped, with warnings, in flight and waiting.

    The last three only if there are any. The state of an older service has no number of files with warnings.
    """
    parts = [
        f"{state['total_processed']} done",
        f"{state['total_failed']} failed",
        f"{state['total_skipped']} skipped",
    ]
    if state.get("total_with_warnings"):
        parts.append(f"{state['total_with_warnings']} with warnings")
    if state["files_in_flight"]:
        parts.append(f"{state['files_in_flight']} in flight")
    if state["files_queued"]:
        parts.append(f"{state['files_queued']} waiting")
    return parts


def rate(state: Json) -> list[str]:
    """Return files per minute and the ETA, as far as they are known."""
    parts = []
    if state["files_per_minute"] and state["files_in_flight"]:
        parts.append(f"{state['files_per_minute']:.0f} files/min")
    if (state["eta_seconds"] or 0) >= 1 and state["files_in_flight"]:
        parts.append(f"ETA {duration(state['eta_seconds'])}")
    return parts


def failure(file: Json) -> str:
    """Return why a file failed: stage, type and message, and the attempt if it was not the first."""
    error = file["error"] or {}
    stage = f"{one_line(error['stage'])}: " if error.get("stage") else ""
    attempt = f" (attempt {file['attempt']})" if file["attempt"] > 1 else ""
    return f"{stage}{one_line(str(error.get('type')))}: {one_line(str(error.get('message')))}{attempt}"


def reason(file: Json) -> str:
    """Return why a file was skipped."""
    return one_line(str((file["error"] or {}).get("message", "")))


def completed(file: Json) -> str:
    """Return how long a file took, if it was in flight, and its warnings."""
    took = "" if file["duration_seconds"] is None else f"{file['duration_seconds']:.1f} s"
    return "; ".join(filter(None, [took, one_line(warnings_text(file.get("warnings") or ()))]))
