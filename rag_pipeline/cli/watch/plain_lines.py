"""Plain lines for a log, a pipe or a CI job: one for each important event, in five columns separated by tabs.

========  ==============================================================================================================
time      of the event: ISO 8601 in UTC
pipeline  its id; ``-`` if the line concerns no pipeline
what      ``status``, ``completed``, ``failed``, ``skipped``, ``deleted``, ``connection`` or ``done``
name      of the file; the new value of ``status`` and ``connection``
detail    ``failed``: stage, type, message; ``skipped``: the reason; ``completed``: time, warnings; ``status``: counts
========  ==============================================================================================================

A tab or a line break within a column is escaped, so that ``cut`` and ``awk`` work.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from rag_pipeline.cli.watch import formatting
from rag_pipeline.cli.watch.output import WatchFrame, print_remark, write_line
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import printable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, iso

_ENDS = {
    events.FILE_COMPLETED: ("completed", formatting.completed),
    events.FILE_FAILED: ("failed", formatting.failure),
    events.FILE_SKIPPED: ("skipped", formatting.reason),
    events.FILE_DELETED: ("deleted", lambda _: ""),
}


class PlainLines:
    """Prints to ``out`` what is new in each frame."""

    wants_events = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._connection: tuple[ConnectionState, str] | None = None
        self._statuses: dict[str, str] = {}
        self._notice = ""

    def begin(self) -> None:
        """Do nothing: there is no header."""

    def show(self, frame: WatchFrame, new: Sequence[Event]) -> None:
        """Print a line for each important event, and one when the connection has changed."""
        connection = (frame.connection, "" if frame.error is None else formatting.one_line(str(frame.error)))
        is_lost = frame.connection not in (ConnectionState.LIVE, ConnectionState.CATCHING_UP)
        if is_lost:  # these events came before the break
            self._events(new)
        is_first_attempt = frame.connection is ConnectionState.CONNECTING and frame.error is None
        if connection != self._connection and not is_first_attempt:
            self._connection = connection
            self._line(None, "-", "connection", *connection)
        if not is_lost:
            self._events(new)
        self._out.flush()
        if frame.notice and not self._notice:
            self._notice = frame.notice
            print_remark(frame.notice)

    def missed(self, reason: str) -> None:
        """Print a line where others are missing."""
        self._line(None, "-", "connection", "behind", reason)

    def end(self, summary: str | None) -> None:
        """Print the summary."""
        if summary is not None:
            self._line(None, "-", "done", "-", summary)
            self._out.flush()

    def _events(self, new: Sequence[Event]) -> None:
        for name, data in new:
            if name == events.STATUS:
                self._status(data)
            elif name in _ENDS:
                what, about = _ENDS[name]
                file = data["file"]
                self._line(data["timestamp"], data["pipeline_id"], what, file["name"], about(file))

    def _status(self, data: Mapping[str, object]) -> None:
        state: Json = dict(data)
        pipeline_id, status = state["pipeline_id"], state["status"]
        if pipeline_id is None or self._statuses.get(pipeline_id) == status:
            return
        self._statuses[pipeline_id] = status
        message = state.get("message")
        detail = ", ".join(formatting.counts(state)) + (f": {formatting.one_line(str(message))}" if message else "")
        self._line(state["timestamp"], pipeline_id, "status", status, detail)

    def _line(self, at: str | None, pipeline_id: str, what: str, name: str, detail: str) -> None:
        columns = (at or iso(time.time()) or "", pipeline_id, what, name, detail)
        write_line(self._out, "\t".join(printable(column) for column in columns))
