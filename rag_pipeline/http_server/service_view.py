"""Where answers come from: what the service gives the HTTP server, which knows nothing else of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rag_pipeline.http_server.page import Addresses
from rag_pipeline.journal.base import FileQuery, FileRow
from rag_pipeline.status.control import Action


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every part of the service works, and the JSON object that tells the details."""

    ok: bool
    body: Mapping[str, object]


class Item(NamedTuple):
    """An event as it goes to a client: ``text`` is its payload, ``offset`` and all, as JSON on one line."""

    offset: str
    name: str
    text: str


class EventPage(NamedTuple):
    """A stretch of the journal, in order.

    ``next`` is the offset to ask with for what follows: everything of the namespace up to it has been looked through.
    ``recovered`` is False when events may be missing between the offset that was asked with and the first one here.
    ``more`` says that the next page has something already.
    """

    items: Sequence[Item]
    next: str
    recovered: bool
    more: bool

    def within(self, limit_characters: int) -> EventPage:
        """Return the page as far as its payloads fit the limit, but with one event at least."""
        total = 0
        for count, item in enumerate(self.items):
            total += len(item.text)
            if count and total > limit_characters:
                return EventPage(self.items[:count], self.items[count - 1].offset, self.recovered, True)
        return self


class FollowerClosedError(Exception):
    """The follower has nothing more to give: the service stops, or the follower did not keep up."""


class Follower(Protocol):
    """One client's live view of a namespace; its backlog is bounded."""

    def next(self, timeout_seconds: float) -> Sequence[Item]:
        """Return what is there, waiting natively at most so long for the first of it; nothing at the end of that.

        Raises :class:`FollowerClosedError` when there will be nothing more.
        """

    def close(self) -> None:
        """Let go of it, and end a wait in :meth:`next`; idempotent, from any thread, and never waits."""


def together(states: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Return the first state, with ``pipelines`` (states by id) when there are several; that alone without any."""
    if len(states) == 1:
        return states[0]
    return {**(states[0] if states else {}), "pipelines": {str(state["pipeline_id"]): state for state in states}}


class Source(Protocol):
    """Where answers come from; called by several handler threads at once.

    What reads the journal raises :class:`~rag_pipeline.errors.JournalError` when that can't be read.
    """

    @property
    def addresses(self) -> Addresses:
        """The ports and namespaces a client can connect to."""

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each pipeline, the default one's first."""

    def status(self) -> Mapping[str, object]:
        """Return the states :func:`together`."""

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if there is no such id."""

    @property
    def controllable(self) -> bool:
        """Whether pipelines may be directed over HTTP."""

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Ask something of a pipeline; raises :class:`~rag_pipeline.status.control.ControlError` if it can't be done now."""

    def health(self) -> Health:
        """Return the health of all parts, found out within a bounded time."""

    def metrics(self) -> bytes:
        """Return what Prometheus scrapes, in its text format."""

    def events(self, since: str | None, namespace: str, limit: int) -> EventPage:
        """Return at most ``limit`` events after the offset, or the oldest that are kept.

        An offset of another journal, or one that reaches back further than what is kept, gives the oldest as well, with
        ``recovered`` False; without an offset it is True.
        """

    def follow(self, namespace: str, since: str | None) -> Follower:
        """Begin to follow a namespace; raises :class:`FollowerClosedError` when the service stops.

        Without ``since``: a ``pipeline:status`` for each pipeline, then everything newer. With it (any string that a
        client sent): the events after it, in order, each once, then those statuses with ``recovered`` true in their
        payload; or, where that can't be had, the statuses alone with ``recovered`` false; then everything newer.
        """

    def files(self, query: FileQuery) -> Sequence[FileRow]:
        """Return the files that fit, the one that changed last first."""

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file that there was."""

    def position_of(self, offset: str) -> int | None:
        """Return the position that an offset of this journal stands for; None for any other string."""

    def offset_of(self, position: int) -> str:
        """Return the string that clients know a position by."""
