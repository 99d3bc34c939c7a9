"""What a pipeline's command shows in the terminal: a line for each file that is done, and below them a live view.

It watches the pipeline as any client of the service does, by its events. Without a terminal, or without rich, there
are the lines alone.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TextIO

from rag_pipeline.common.printing import printable
from rag_pipeline.common.probe import reachable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import NAMESPACES, Event
from rag_pipeline.sources.runner.output import Output
from rag_pipeline.status import PipelineStatus, Published, core_of
from rag_pipeline.status.model import Totals

_ENDS = frozenset({events.FILE_COMPLETED, events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED})


class Service(Protocol):
    """What the terminal needs to know of a running service."""

    host: str
    http_port: int
    socket_port: int


class Line(NamedTuple):
    """One file that is done, for people: ``kind`` is stored, unchanged, failed, skipped or removed."""

    kind: str
    name: str
    about: str


MARKS = {"stored": "✓", "unchanged": "✓", "failed": "✗", "skipped": "–", "removed": "⌫"}
PLAIN_MARKS = {"stored": "+", "unchanged": "+", "failed": "!", "skipped": "-", "removed": "x"}


def addresses(service: Service) -> list[tuple[str, str]]:
    """Return where to connect: what, and the address."""
    host = reachable(service.host)
    host = f"[{host}]" if ":" in host else host
    http, sockets = f"http://{host}:{service.http_port}", f"http://{host}:{service.socket_port}"
    return [
        ("Dashboard", f"{http}/"),
        ("Status", f"{http}/status"),
        ("Health", f"{http}/health"),
        ("Socket.IO", f"{sockets}   namespaces {' '.join(NAMESPACES)}"),
    ]


def line_of(event: Event) -> Line | None:
    """Return the line for an event, None if it isn't the end of a file."""
    if event.name not in _ENDS:
        return None
    file: dict[str, Any] = event.payload()["file"]
    name = printable(file["name"])
    took = "" if file["duration_seconds"] is None else f"{file['duration_seconds']:.1f} s"
    error, result = file["error"], file["result"] or {}
    if event.name == events.FILE_FAILED:
        return Line("failed", name, f"{error['stage'] or 'failed'}: {_shortened(error['message'], file['name'])}")
    if event.name == events.FILE_SKIPPED:
        return Line("skipped", name, f"skipped: {_shortened(error['message'], file['name'])}")
    if event.name == events.FILE_DELETED:
        return Line("removed", name, "removed")
    if "renamed_from" in result:
        return Line("unchanged", name, f"renamed, was {printable(result['renamed_from'])}")
    if "chunks" not in result:
        return Line("unchanged", name, "unchanged")
    return Line("stored", name, f"{result['chunks']} chunk{'' if result['chunks'] == 1 else 's'}, {took}")


def summary(done: Totals, seconds: float) -> str:
    """Return what was done, in one line."""
    processed, failed, skipped, deleted = done
    return f"{processed} stored, {failed} failed, {skipped} skipped, {deleted} removed in {seconds:.1f} s"


class Terminal:
    """Prints to ``out``; used by one thread. :meth:`tick` several times a second keeps it up to date.

    Where ``out`` can't be written (any more) the pipeline goes on without it.
    """

    def __init__(self, status: PipelineStatus, out: TextIO | None = None, *, live: bool | None = None) -> None:
        self._status = status
        self._out = Output(out, status.pipeline_id)
        self._published: deque[Published] = deque()
        self._began = time.monotonic()
        wanted = self._out.stream.isatty() if live is None else live
        self._marks = MARKS if self._out.knows_unicode else PLAIN_MARKS
        self._live = _open_live(status, self._out.stream) if wanted else None
        core_of(status).attach(self)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what the pipeline publishes."""
        self._published.extend(items)

    def start(self, service: Service, folder: str) -> None:
        """Print where to look, then begin the live view."""
        rows = [("Folder", printable(folder)), *addresses(service)]
        if self._live is not None:
            self._out.attempt(self._live.start, rows)
        else:
            self._out.print("\n".join(f"{what:<11}{where}" for what, where in rows) + "\n")

    def tick(self) -> None:
        """Print the files that were done since, and bring the live view up to date."""
        while self._published:
            item = self._published.popleft()
            line = line_of(item) if isinstance(item, Event) else None
            if line is None:
                continue
            if self._live is not None:
                self._out.attempt(self._live.line, line, self._marks[line.kind])
            else:
                self._out.print(f"{self._marks[line.kind]} {line.name}  {line.about}")
        if self._live is not None:
            self._out.attempt(self._live.refresh)

    def say(self, text: str) -> None:
        """Print a line."""
        if self._live is not None:
            self._out.attempt(self._live.say, text)
        else:
            self._out.print(text)

    def close(self, *, summarize: bool = True) -> None:
        """Print what is left, end the live view, and sum up what this process did."""
        core_of(self._status).detach(self)
        self.tick()
        if self._live is not None:
            self._out.attempt(self._live.stop)
        if summarize:
            done = summary(core_of(self._status).snapshot().attempts, time.monotonic() - self._began)
            self._out.print(("" if self._live is None else "\n") + done)

    def restore(self) -> None:
        """Make the cursor visible again; callable from a signal handler, before a sudden end."""
        if self._live is not None:
            with suppress(OSError):
                os.write(self._out.stream.fileno(), b"\x1b[?25h\n")


def _shortened(message: str, name: str) -> str:
    """Return the message without the file's name at its start: it stands before it on the line."""
    starts = (known + after for known in (name, name.rsplit("/", 1)[-1]) for after in (" ", ": "))
    start = next(filter(message.startswith, starts), "")
    message = message[len(start) :]
    return printable(" ".join(message.split()))


def _open_live(status: PipelineStatus, out: TextIO) -> Any:
    try:
        from rag_pipeline.sources.runner.live_view import LiveView
    except ModuleNotFoundError:  # rich belongs to the extra; the lines do without it
        return None
    return LiveView(status, out)
