"""The interface of the three outputs of ``watch``: the screen, plain lines and JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TextIO

from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import say
from rag_pipeline.contract.events import Json


class WatchFrame(NamedTuple):
    """Snapshot of the client: the states by pipeline id, and the state of the connection.

    ``notice`` is a remark for the user; empty if there is none.
    """

    states: Mapping[str, Json]
    connection: ConnectionState
    error: Exception | None = None
    notice: str = ""


class WatchOutput(Protocol):
    """Shows frames and events; used by one thread."""

    wants_events: bool
    """Whether it shows single events, not only states."""

    def begin(self) -> None:
        """Take over the output."""

    def show(self, frame: WatchFrame, new: Sequence[Event]) -> None:
        """Show the frame, and the events since the last one."""

    def missed(self, reason: str) -> None:
        """Report that events are missing between the last frame and the next."""

    def end(self, summary: str | None) -> None:
        """Restore the output, and print the summary if there is one."""


def print_remark(text: str) -> None:
    """Print a remark on stderr, beside the output."""
    if sys.stderr is not None:
        say(f"rag-pipeline watch: {text}", sys.stderr)


def write_line(out: TextIO, text: str) -> None:
    """Write a line; characters that the output's encoding lacks are written as escapes."""
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
