"""Every event as one line of JSON, in the form of ``GET /events``: ``{"event": …, "data": …}``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

from rag_pipeline.cli.watch.output import WatchFrame, print_remark, write_line
from rag_pipeline.client import ConnectionState, Event


class JsonLines:
    """Prints events to ``out``, and changes of the connection to stderr."""

    wants_events = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._connection: ConnectionState | None = None
        self._notice = ""
        ascii_only = not (out.encoding or "utf-8").lower().startswith("utf")
        self._encode = json.JSONEncoder(ensure_ascii=ascii_only, separators=(",", ":")).encode

    def begin(self) -> None:
        """Do nothing: there is no header."""

    def show(self, frame: WatchFrame, new: Sequence[Event]) -> None:
        """Print the events, a change of the connection, and the first notice."""
        for name, data in new:
            write_line(self._out, self._encode({"event": name, "data": data}))
        self._out.flush()
        if frame.connection is not self._connection:
            self._connection = frame.connection
            print_remark(str(frame.connection) if frame.error is None else f"{frame.connection}: {frame.error}")
        if frame.notice and not self._notice:
            self._notice = frame.notice
            print_remark(frame.notice)

    def missed(self, reason: str) -> None:
        """Report on stderr that events are missing here."""
        print_remark(reason)

    def end(self, summary: str | None) -> None:
        """Print the summary on stderr."""
        if summary is not None:
            print_remark(summary)
