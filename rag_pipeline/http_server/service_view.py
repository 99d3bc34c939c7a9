"""The interface between the HTTP server and the service: what requests can read and do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rag_pipeline.broadcast import Packet
from rag_pipeline.broadcast.follower import EventFollower
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.journal import FileMatch, FileQuery, Generations
from rag_pipeline.status.control import Action


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The body of ``/health``; ``ok`` is False when a part is down."""

    ok: bool
    body: Mapping[str, object]


class JournalPage(NamedTuple):
    """Consecutive events of the journal, in bare form.

    ``next`` is the offset of the next page. ``recovered`` is False when events may be missing between the requested
    offset and the first event here. ``more`` tells that the next page has events already.
    """

    events: Sequence[Packet]
    next: str
    recovered: bool
    more: bool


class ServiceView(Protocol):
    """The pipelines and the journal, as far as a client may see them. Several threads call it at once.

    Methods that read the journal raise :class:`~rag_pipeline.errors.JournalError` when it can't be read.
    """

    @property
    def addresses(self) -> Addresses:
        """The ports and namespaces a client can connect to."""

    @property
    def generations(self) -> Generations:
        """The journal's generations, which convert between offsets and positions."""

    @property
    def controllable(self) -> bool:
        """Whether pipelines can be controlled over HTTP."""

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each pipeline, the default one first."""

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None for an unknown id."""

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Send a control request; raises :class:`~rag_pipeline.status.control.ControlError` if it can't be done now."""

    def health(self) -> HealthReport:
        """Return the health of all parts; takes a bounded time."""

    def metrics(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""

    def events(self, since: str | None, namespace: str, limit: int) -> JournalPage:
        """Return at most ``limit`` events, and at most about 4 MiB, after the offset; by default the oldest events.

        If the offset is of another journal or is too old, the page starts with the oldest events, and ``recovered`` is
        False.
        """

    def follow(self, namespace: str, since: str | None, *, until: float | None = None) -> EventFollower:
        """Follow a namespace, up to the wall-clock time ``until``; raises FollowerClosedError when the service stops.

        Without ``since``: a ``pipeline:status`` for each pipeline, then every newer event. With it (any string that a
        client sent): the events after it, in order and each once, then those statuses with ``recovered`` true; or, if
        it can't be resumed from, the statuses alone with ``recovered`` false; then every newer event.
        """

    def files(self, query: FileQuery) -> Sequence[FileMatch]:
        """Return the files that match, most recently changed first."""

    @property
    def search_refusal(self) -> str | None:
        """Why documents can't be searched over HTTP, in one line; None if they can."""

    @property
    def searchable_pipelines(self) -> frozenset[str] | None:
        """The pipelines whose documents may be searched; None for all."""

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Return the stored texts that answer a question, best first.

        Raises SearchUnavailableError if that is not possible now, or another RagPipelineError.
        """

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file that there was."""


def combined(states: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    """Return the body of ``/status``: the first state; unless there is exactly one, ``pipelines`` has all by id."""
    if len(states) == 1:
        return states[0]
    return {**(states[0] if states else {}), "pipelines": {str(state["pipeline_id"]): state for state in states}}
