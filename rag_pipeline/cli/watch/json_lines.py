"""Every event as JSON, one a line, as ``GET /events`` has them: ``{"event": …, "data": …}``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TextIO

from rag_pipeline.cli.watch.view import Look, write_line
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import say


class JsonLines:
    """Prints events to ``out``, and how the connection stands to stderr."""

    wants_events = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._connection: ConnectionState | None = None
        ascii_only = not (out.encoding or "utf-8").lower().startswith("utf")
        self._encode = json.JSONEncoder(ensure_ascii=ascii_only, separators=(",", ":")).encode

    def begin(self) -> None:
        """Nothing comes before the first event."""

    def show(self, look: Look, new: Sequence[Event]) -> None:
        """Print the events."""
        for name, data in new:
            write_line(self._out, self._encode({"event": name, "data": data}))
        self._out.flush()
        if look.connection is not self._connection:
            self._connection = look.connection
            self._say(str(look.connection) if look.error is None else f"{look.connection}: {look.error}")

    def missed(self, reason: str) -> None:
        """Say that events are missing here."""
        self._say(reason)

    def end(self, summary: str | None) -> None:
        """Say what was done, if that is wanted."""
        if summary is not None:
            self._say(summary)

    def _say(self, text: str) -> None:
        if sys.stderr is not None:
            say(f"rag-pipeline watch: {text}", sys.stderr)
