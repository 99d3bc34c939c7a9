"""Builds the screen of ``watch`` with rich: the connection, then each pipeline; a pure function of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rag_pipeline.cli.watch import formatting
from rag_pipeline.cli.watch.output import WatchFrame
from rag_pipeline.client import ConnectionState
from rag_pipeline.common.printing import printable
from rag_pipeline.contract.events import Json
from rag_pipeline.sources.runner.file_lines import MARKS
from rag_pipeline.sources.runner.live_view import STATUS_STYLES, STYLES, FileProgress, files_table

HEAD_LINES = 2
BLOCK_LINES = 4  # lines of a pipeline besides its files: name, counts, times, and an empty one
MIN_RECENT = 5  # finished files that are shown even if many are in flight
MIN_FAILED = 3  # failed files that are shown even if many have finished since
_CONNECTION_STYLES = {
    ConnectionState.LIVE: "green",
    ConnectionState.REFUSED: "red",
    ConnectionState.RECONNECTING: "red",
}
_COUNT_STYLES = {" failed": "red", " with warnings": "yellow"}
_ENDS = (
    ("files_failed", "failed", formatting.failure),
    ("files_skipped", "skipped", formatting.reason),
    ("files_completed", "stored", formatting.completed),
)


class DrawContext(NamedTuple):
    """Where and when a frame is drawn; ``height`` is in lines, ``now`` in wall-clock seconds."""

    title: str
    height: int
    now: float
    spinner: Spinner


def draw(frame: WatchFrame, context: DrawContext) -> RenderableType:
    """Return what rich prints; the pipelines share the height equally."""
    problem = frame.notice if frame.error is None else str(frame.error)
    error_line = Text(formatting.one_line(problem), "red", no_wrap=True, overflow="ellipsis")
    parts: list[RenderableType] = [_head(frame, context), error_line]
    if not frame.states and frame.connection is ConnectionState.LIVE and not frame.notice:
        parts.append(Text("No pipeline has reported yet. It will appear here once it does.", "dim"))
    lines = max(0, context.height - HEAD_LINES) // max(1, len(frame.states)) - BLOCK_LINES
    return Group(*parts, *(_block(state, context, max(2, lines)) for state in frame.states.values()))


def _head(frame: WatchFrame, context: DrawContext) -> Table:
    mark = "●" if frame.connection is ConnectionState.LIVE else "○"
    style = _CONNECTION_STYLES.get(frame.connection, "yellow")
    connection = str(frame.connection).replace("-", " ")
    return _two_sides(Text(context.title, "bold"), Text(f"{mark} {connection}", f"bold {style}"))


def _block(state: Json, context: DrawContext, lines: int) -> Group:
    limit = max(1, lines - min(MIN_RECENT, lines // 2))
    in_flight = state["files_processing"][-limit:]
    more = state["files_in_flight"] - len(in_flight)
    if more > 0 and len(in_flight) > 1:  # the count of the others takes one line
        in_flight, more = in_flight[1:], more + 1
    parts: list[RenderableType] = [_name(state), _counts(state), _times(state, context.now)]
    if in_flight:
        rows = (
            FileProgress(file["name"], file["stage"], file["progress"], _since(file["started_at"], context.now))
            for file in in_flight
        )
        parts.append(files_table(rows, context.spinner, elapsed=True))
    if more > 0:
        parts.append(Text(f"  and {more} more in flight", "dim"))
    parts += _recent(state, max(1, lines - len(in_flight) - (more > 0)))
    return Group(*parts, Text(""))


def _name(state: Json) -> Table:
    kind = state["pipeline_type"]
    name = Text.assemble((printable(state["pipeline_id"]), "bold"), (f"  {printable(kind)}" if kind else "", "dim"))
    status = printable(state["status"])
    if state["is_checking"]:
        status += ", checking"
    return _two_sides(name, Text(status, f"bold {STATUS_STYLES.get(state['status'], 'white')}"))


def _counts(state: Json) -> Text:
    parts = [
        (part, next((style for end, style in _COUNT_STYLES.items() if part.endswith(end) and part[0] != "0"), ""))
        for part in formatting.counts(state)
    ]
    parts += [(part, "dim") for part in formatting.rate(state)]
    return Text("  ").join(Text(*part) for part in parts)


def _times(state: Json, now: float) -> Text:
    parts = []
    if state["last_check_time"] is not None:
        parts.append(f"checked {_since(state['last_check_time'], now)} ago")
    if state["next_check_time"] is not None:
        wait = datetime.fromisoformat(state["next_check_time"]).timestamp() - now
        parts.append(f"next check in {formatting.duration(wait)}")
    text = Text(", ".join(parts) or "not checked yet", "dim", no_wrap=True, overflow="ellipsis")
    message = state.get("message")
    if message:
        text = Text(formatting.one_line(str(message)), "red", no_wrap=True, overflow="ellipsis")
    return text


def _recent(state: Json, limit: int) -> Sequence[RenderableType]:
    """Return a line for each file that ended last, newest first; the last failed ones are always among them."""
    ends = [(file["completed_at"] or "", kind, file, about(file)) for key, kind, about in _ENDS for file in state[key]]
    ends.sort(key=lambda end: end[0], reverse=True)
    failed = [end for end in ends if end[1] == "failed"][: min(MIN_FAILED, limit)]
    others = [end for end in ends if end not in failed][: limit - len(failed)]
    newest = sorted([*failed, *others], key=lambda end: end[0], reverse=True)
    return [_end("warned" if file.get("warnings") else kind, file, about) for _, kind, file, about in newest]


def _end(kind: str, file: Json, about: str) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    style = STYLES[kind]
    table.add_row(
        Text(MARKS[kind], style), Text(printable(file["name"])), Text(about, "dim" if kind == "stored" else style)
    )
    return table


def _two_sides(left: Text, right: Text) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(left, right)
    return table


def _since(iso_time: str | None, now: float) -> str:
    return "" if iso_time is None else formatting.duration(now - datetime.fromisoformat(iso_time).timestamp())
