"""The part of the terminal that moves: files in flight with their stages, and the totals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rag_pipeline.common.printing import printable
from rag_pipeline.status import PipelineStatus, core_of

if TYPE_CHECKING:
    from rag_pipeline.sources.runner.terminal import Line

REFRESH_PER_SECOND = 8
MAX_FILES = 6
STYLES = {"stored": "green", "unchanged": "green", "failed": "red", "skipped": "yellow", "removed": "magenta"}
STATUS_STYLES = {"processing": "cyan", "scanning": "cyan", "idle": "green", "error": "red", "stopped": "yellow"}


class InFlight(NamedTuple):
    """A file being worked on: ``progress`` is a fraction; ``elapsed`` how long it has taken, in words."""

    name: str
    stage: str | None
    progress: float | None
    elapsed: str | None = None


def files_table(files: Iterable[InFlight], spinner: Spinner, *, elapsed: bool = False) -> Table:
    """Return a row with a bar for each file, and how long it has taken if that is wanted."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column(no_wrap=True, width=11)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, width=5, justify="right")
    if elapsed:
        table.add_column(no_wrap=True, min_width=5, justify="right")
    for file in files:
        done = file.progress
        table.add_row(
            spinner,
            Text(printable(file.name)),
            Text(printable(file.stage or ""), "cyan"),
            ProgressBar(total=1.0, completed=done or 0.0, pulse=done is None),
            Text("" if done is None else f"{done:.0%}"),
            *((Text(file.elapsed or "", "dim"),) if elapsed else ()),
        )
    return table


class LiveView:
    """Draws below the lines that have been printed; the caller's thread calls, rich's own refreshes the spinner."""

    def __init__(self, status: PipelineStatus, out: TextIO) -> None:
        self._status = status
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            Text(""), console=self._console, refresh_per_second=REFRESH_PER_SECOND, transient=True, auto_refresh=True
        )

    def start(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print the addresses and begin to draw."""
        table = Table.grid(padding=(0, 2))
        for what, where in rows:
            table.add_row(Text(what, "bold"), Text(printable(where), overflow="fold"))
        self._console.print(table)
        self._console.print()
        self._live.start()

    def line(self, line: Line, mark: str) -> None:
        """Print the line of a file that is done, above the view."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        table.add_column(ratio=3)
        style = STYLES[line.kind]
        table.add_row(Text(mark, style), Text(line.name), Text(line.about, "dim" if line.kind == "stored" else style))
        self._console.print(table)

    def say(self, text: str) -> None:
        """Print a line above the view."""
        self._console.print(Text(printable(text)))

    def refresh(self) -> None:
        """Draw what the pipeline is doing now."""
        self._live.update(Group(self._files(), self._totals()))

    def stop(self) -> None:
        """Take the view away; the lines stay."""
        self._live.stop()

    def _files(self) -> Table:
        files = core_of(self._status).snapshot().files_processing[-MAX_FILES:]
        return files_table((InFlight(file.name, file.stage, file.progress) for file in files), self._spinner)

    def _totals(self) -> Text:
        body = core_of(self._status).snapshot()
        totals = body.totals
        text = Text.assemble(
            (printable(body.status), f"bold {STATUS_STYLES.get(body.status, 'white')}"),
            f"  {totals.total_processed} stored",
            (f"  {totals.total_failed} failed", "red" if totals.total_failed else "dim"),
            f"  {totals.total_skipped} skipped  {body.files_queued or 0} waiting",
        )
        if body.files_per_minute and body.status == "processing":
            text.append(f"  {body.files_per_minute:.0f} files/min", "dim")
        if body.status == "idle" and body.next_check_time is not None:
            text.append(f"  next check in {max(0.0, body.next_check_time - time.time()):.0f} s", "dim")
        message = body.own.get("message")
        if message:
            text.append(f"\n{printable(str(message))}", "red")
        return text
