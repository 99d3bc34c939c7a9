"""The live view of a terminal: files in flight with their stages, and the totals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rag_pipeline.common.printing import printable
from rag_pipeline.sources.runner.file_lines import FileLine
from rag_pipeline.status.pipeline import PipelineStatus, core_of

REFRESH_PER_SECOND = 8
MAX_FILES = 6
STYLES = {
    "stored": "green", "warned": "yellow", "unchanged": "green", "failed": "red", "skipped": "yellow",
    "removed": "magenta",
}  # fmt: skip
STATUS_STYLES = {"processing": "cyan", "scanning": "cyan", "idle": "green", "error": "red", "stopped": "yellow"}


class FileProgress(NamedTuple):
    """A file in flight: ``progress`` is a fraction, ``elapsed`` a text such as ``3 min``."""

    name: str
    stage: str | None
    progress: float | None
    elapsed: str | None = None


def files_table(files: Iterable[FileProgress], spinner: Spinner, *, elapsed: bool = False) -> Table:
    """Return a row with a progress bar for each file, and with its elapsed time if asked for."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column(no_wrap=True, width=11)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, width=5, justify="right")
    if elapsed:
        table.add_column(no_wrap=True, min_width=5, justify="right")
    for file in files:
        progress = file.progress
        table.add_row(
            spinner,
            Text(printable(file.name)),
            Text(printable(file.stage or ""), "cyan"),
            ProgressBar(total=1.0, completed=progress or 0.0, pulse=progress is None),
            Text("" if progress is None else f"{progress:.0%}"),
            *((Text(file.elapsed or "", "dim"),) if elapsed else ()),
        )
    return table


class LiveView:
    """Draws below the printed lines; used by one thread, while a thread of rich turns the spinner."""

    def __init__(self, status: PipelineStatus, out: TextIO) -> None:
        self._status = status
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            Text(""), console=self._console, refresh_per_second=REFRESH_PER_SECOND, transient=True, auto_refresh=True
        )

    def start(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print the rows and start drawing."""
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, "bold"), Text(printable(value), overflow="fold"))
        self._console.print(table)
        self._console.print()
        self._live.start()

    def line(self, line: FileLine, mark: str) -> None:
        """Print the line of a finished file above the view."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
        table.add_column(ratio=3)
        style = STYLES[line.kind]
        table.add_row(Text(mark, style), Text(line.name), Text(line.details, "dim" if line.kind == "stored" else style))
        self._console.print(table)

    def say(self, text: str) -> None:
        """Print a line above the view."""
        self._console.print(Text(printable(text)))

    def refresh(self) -> None:
        """Draw the current state."""
        self._live.update(Group(self._files(), self._totals()))

    def stop(self) -> None:
        """Remove the view; the printed lines stay."""
        self._live.stop()

    def _files(self) -> Table:
        files = core_of(self._status).snapshot().files_processing[-MAX_FILES:]
        return files_table((FileProgress(file.name, file.stage, file.progress) for file in files), self._spinner)

    def _totals(self) -> Text:
        body = core_of(self._status).snapshot()
        totals = body.totals
        text = Text.assemble(
            (printable(body.status), f"bold {STATUS_STYLES.get(body.status, 'white')}"),
            f"  {totals.total_processed} stored",
            (f" ({totals.total_with_warnings} with warnings)" if totals.total_with_warnings else "", "yellow"),
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
