"""The picture as rich draws it: the connection at the top, then each pipeline; pure, for one moment and one size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rag_pipeline.cli.watch import words
from rag_pipeline.cli.watch.view import Look
from rag_pipeline.client import ConnectionState
from rag_pipeline.common.printing import printable
from rag_pipeline.contract.events import Json
from rag_pipeline.sources.runner.live_view import STATUS_STYLES, STYLES, FileProgress, files_table
from rag_pipeline.sources.runner.terminal import MARKS

HEAD_LINES = 2
BLOCK_LINES = 4  # of a pipeline, beside its files: name, counts, times, and the space below
FEW_RECENT = 5  # as many ends as there is always room for, where files are in flight
FAILED_KEPT = 3  # so many failures stay in sight, whatever has ended since
_CONNECTION_STYLES = {
    ConnectionState.LIVE: "green",
    ConnectionState.REFUSED: "red",
    ConnectionState.RECONNECTING: "red",
}
_ENDS = (
    ("files_failed", "failed", words.failure),
    ("files_skipped", "skipped", words.reason),
    ("files_completed", "stored", words.took),
)


class Frame(NamedTuple):
    """What a picture is drawn for: ``now`` is wall-clock seconds."""

    title: str
    height: int
    now: float
    spinner: Spinner


def draw(look: Look, frame: Frame) -> RenderableType:
    """Return the picture; each pipeline gets its share of the height."""
    parts: list[RenderableType] = [_head(look, frame), Text(_trouble(look), "red", no_wrap=True, overflow="ellipsis")]
    if not look.states and look.connection is ConnectionState.LIVE:
        parts.append(Text("No pipeline has reported yet. This fills by itself once one does.", "dim"))
    room = max(0, frame.height - HEAD_LINES) // max(1, len(look.states)) - BLOCK_LINES
    return Group(*parts, *(_block(state, frame, max(2, room)) for state in look.states.values()))


def _head(look: Look, frame: Frame) -> Table:
    mark = "●" if look.connection is ConnectionState.LIVE else "○"
    style = _CONNECTION_STYLES.get(look.connection, "yellow")
    words_of = str(look.connection).replace("-", " ")
    return _two_sides(Text(frame.title, "bold"), Text(f"{mark} {words_of}", f"bold {style}"))


def _trouble(look: Look) -> str:
    return "" if look.error is None else words.one_line(str(look.error))


def _block(state: Json, frame: Frame, room: int) -> Group:
    shown = max(1, room - min(FEW_RECENT, room // 2))
    flying = state["files_processing"][-shown:]
    more = state["files_in_flight"] - len(flying)
    if more > 0 and len(flying) > 1:  # one line of them is for how many more there are
        flying, more = flying[1:], more + 1
    parts: list[RenderableType] = [_name(state), _counts(state), _times(state, frame.now)]
    if flying:
        rows = (
            FileProgress(file["name"], file["stage"], file["progress"], _since(file["started_at"], frame.now))
            for file in flying
        )
        parts.append(files_table(rows, frame.spinner, elapsed=True))
    if more > 0:
        parts.append(Text(f"  and {more} more in flight", "dim"))
    parts += _recent(state, max(1, room - len(flying) - (more > 0)))
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
        (part, "red" if state["total_failed"] and part.endswith(" failed") else "") for part in words.counts(state)
    ]
    parts += [(part, "dim") for part in words.pace(state)]
    return Text("  ").join(Text(*part) for part in parts)


def _times(state: Json, now: float) -> Text:
    parts = []
    if state["last_check_time"] is not None:
        parts.append(f"checked {_since(state['last_check_time'], now)} ago")
    if state["next_check_time"] is not None:
        wait = datetime.fromisoformat(state["next_check_time"]).timestamp() - now
        parts.append(f"next check in {words.duration(wait)}")
    text = Text(", ".join(parts) or "not checked yet", "dim", no_wrap=True, overflow="ellipsis")
    message = state.get("message")
    if message:
        text = Text(words.one_line(str(message)), "red", no_wrap=True, overflow="ellipsis")
    return text


def _recent(state: Json, most: int) -> Sequence[RenderableType]:
    """Return a line for each file that ended last, the newest first; the last that failed are always among them."""
    ends = [(file["completed_at"] or "", kind, file, about(file)) for key, kind, about in _ENDS for file in state[key]]
    ends.sort(key=lambda end: end[0], reverse=True)
    failed = [end for end in ends if end[1] == "failed"][: min(FAILED_KEPT, most)]
    others = [end for end in ends if end not in failed][: most - len(failed)]
    newest = sorted([*failed, *others], key=lambda end: end[0], reverse=True)
    return [_end(kind, file, about) for _, kind, file, about in newest]


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


def _since(moment: str | None, now: float) -> str:
    return "" if moment is None else words.duration(now - datetime.fromisoformat(moment).timestamp())
