"""Plain lines, for a log, a pipe or a CI job: one for each event of note, in five columns with tabs between them.

========  ==============================================================================================================
time      as in the event: ISO 8601 in UTC
pipeline  its id; ``-`` for what is of no pipeline
what      ``status``, ``completed``, ``failed``, ``skipped``, ``deleted``, ``connection`` or ``done``
name      of the file; for ``status`` and ``connection`` the new one
detail    ``failed``: stage, type and message; ``skipped``: the reason; ``completed``: how long; ``status``: counts
========  ==============================================================================================================

A tab or a line break within a column is written as an escape, so that ``cut`` and ``awk`` can rely on them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from rag_pipeline.cli.watch import words
from rag_pipeline.cli.watch.view import Look, write_line
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import printable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, iso

_ENDS = {
    events.FILE_COMPLETED: ("completed", words.took),
    events.FILE_FAILED: ("failed", words.failure),
    events.FILE_SKIPPED: ("skipped", words.reason),
    events.FILE_DELETED: ("deleted", lambda _: ""),
}


class Lines:
    """Prints to ``out`` what is new at each look."""

    wants_events = True

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._connection: tuple[ConnectionState, str] | None = None
        self._statuses: dict[str, str] = {}

    def begin(self) -> None:
        """Nothing comes before the first look."""

    def show(self, look: Look, new: Sequence[Event]) -> None:
        """Print a line for each event of note, and one when the connection stands differently."""
        connection = (look.connection, "" if look.error is None else words.one_line(str(look.error)))
        lost = look.connection not in (ConnectionState.LIVE, ConnectionState.CATCHING_UP)
        if lost:  # what came before the break stands before it
            self._events(new)
        if connection != self._connection and not (
            look.connection is ConnectionState.CONNECTING and look.error is None
        ):
            self._connection = connection
            self._line(None, "-", "connection", *connection)
        if not lost:
            self._events(new)
        self._out.flush()

    def missed(self, reason: str) -> None:
        """Say that lines are missing here."""
        self._line(None, "-", "connection", "behind", reason)

    def end(self, summary: str | None) -> None:
        """Print what was done, if that is wanted."""
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
        detail = ", ".join(words.counts(state)) + (f": {words.one_line(str(message))}" if message else "")
        self._line(state["timestamp"], pipeline_id, "status", status, detail)

    def _line(self, at: str | None, pipeline_id: str, what: str, name: str, detail: str) -> None:
        columns = (at or iso(time.time()) or "", pipeline_id, what, name, detail)
        write_line(self._out, "\t".join(printable(column) for column in columns))
