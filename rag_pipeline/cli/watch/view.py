"""What a view is, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TextIO

from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.contract.events import Json


class Look(NamedTuple):
    """The picture at one moment: the states by pipeline, and how the connection stands."""

    states: Mapping[str, Json]
    connection: ConnectionState
    error: Exception | None = None


class View(Protocol):
    """Shows people or programs what happens; used by one thread."""

    wants_events: bool
    """Whether it shows each event, rather than the picture alone."""

    def begin(self) -> None:
        """Begin to show."""

    def show(self, look: Look, new: Sequence[Event]) -> None:
        """Show the picture, and the events since the last look."""

    def missed(self, reason: str) -> None:
        """Say that events are missing from here on, up to the next look."""

    def end(self, summary: str | None) -> None:
        """Leave the output as the next program expects it; say what was done, if that is wanted."""


def write_line(out: TextIO, text: str) -> None:
    """Write a line; characters that the output's encoding does not have are written as escapes."""
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
