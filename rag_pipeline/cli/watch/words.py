"""How states, files and times are put into words, in the lines and on the screen alike."""

from __future__ import annotations

from rag_pipeline.common.printing import printable
from rag_pipeline.contract.events import Json

SHOWN_CHARACTERS = 500


def duration(seconds: float) -> str:
    """Return a time span in words, rounded as people say it."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" if whole >= 600 else f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def one_line(text: str) -> str:
    """Return the text on one bounded line, with nothing in it that would move a terminal's cursor."""
    return printable(" ".join(text[: 2 * SHOWN_CHARACTERS].split()))[:SHOWN_CHARACTERS]


def counts(state: Json) -> list[str]:
    """Return what a pipeline has done, and has before it: as far as it is known, and not nothing."""
    parts = [
        f"{state['total_processed']} done",
        f"{state['total_failed']} failed",
        f"{state['total_skipped']} skipped",
    ]
    if state["files_in_flight"]:
        parts.append(f"{state['files_in_flight']} in flight")
    if state["files_queued"]:
        parts.append(f"{state['files_queued']} waiting")
    return parts


def pace(state: Json) -> list[str]:
    """Return how fast it goes, and for how long it still will; nothing while that is not known."""
    parts = []
    if state["files_per_minute"] and state["files_in_flight"]:
        parts.append(f"{state['files_per_minute']:.0f} files/min")
    if (state["eta_seconds"] or 0) >= 1 and state["files_in_flight"]:
        parts.append(f"ETA {duration(state['eta_seconds'])}")
    return parts


def failure(file: Json) -> str:
    """Return why a file failed: stage, type and message, and which attempt it was if not the first."""
    error = file["error"] or {}
    stage = f"{one_line(error['stage'])}: " if error.get("stage") else ""
    attempt = f" (attempt {file['attempt']})" if file["attempt"] > 1 else ""
    return f"{stage}{one_line(str(error.get('type')))}: {one_line(str(error.get('message')))}{attempt}"


def reason(file: Json) -> str:
    """Return why a file was skipped."""
    return one_line(str((file["error"] or {}).get("message", "")))


def took(file: Json) -> str:
    """Return how long a file took; empty if it was never in flight."""
    return "" if file["duration_seconds"] is None else f"{file['duration_seconds']:.1f} s"
