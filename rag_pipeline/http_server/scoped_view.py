"""The service as the holder of a limited token sees it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rag_pipeline.access import Access
from rag_pipeline.broadcast.follower import EventFollower
from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.service_view import HealthReport, JournalPage, ServiceView
from rag_pipeline.journal import FileMatch, FileQuery, Generations
from rag_pipeline.status.control import Action, ControlError

PUBLIC_HEALTH_MEMBERS = ("status", "port", "kind", "answered_in_ms")
"""Members of a part's health that reveal nothing about other pipelines; counts, sizes and errors may."""


class ScopedView:
    """A :class:`ServiceView` reduced to one token's access: pipelines outside of it do not exist.

    Callers of :meth:`events` and :meth:`follow` check the namespace against :attr:`addresses` first.
    """

    def __init__(self, view: ServiceView, access: Access) -> None:
        self._view = view
        self._access = access

    @property
    def addresses(self) -> Addresses:
        """The ports, and the namespaces that the access allows."""
        addresses = self._view.addresses
        return replace(addresses, namespaces=tuple(filter(self._access.allows, addresses.namespaces)))

    @property
    def generations(self) -> Generations:
        """The journal's generations."""
        return self._view.generations

    @property
    def controllable(self) -> bool:
        """Whether pipelines can be controlled over HTTP."""
        return self._view.controllable

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each visible pipeline."""
        return [state for state in self._view.states() if self._shows(state)]

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if no visible pipeline has this id."""
        state = self._view.pipeline(pipeline_id)
        return state if state is not None and self._shows(state) else None

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Send a control request to a visible pipeline."""
        if self.pipeline(pipeline_id) is None:
            raise ControlError(f"there is no pipeline {pipeline_id}")
        self._view.control(pipeline_id, action, file_id, count)

    def health(self) -> HealthReport:
        """Return the health of all parts and of the visible pipelines, without counts of anything else."""
        health = self._view.health()
        if not self._access.limited:
            return health
        visible = self._ids()
        pipelines = _mapping(health.body.get("pipelines"))
        changed: dict[str, object] = {
            "clients": self._clients(health.body.get("clients")),
            "clients_dropped": None,
            "pipelines": {pipeline_id: body for pipeline_id, body in pipelines.items() if pipeline_id in visible},
        }
        for part in ("socket_io", "journal"):
            members = _mapping(health.body.get(part))
            changed[part] = {key: value for key, value in members.items() if key in PUBLIC_HEALTH_MEMBERS}
        return HealthReport(health.ok, {**health.body, **{key: changed[key] for key in changed if key in health.body}})

    def _clients(self, counts: object) -> object:
        """Return the client counts of the allowed namespaces, and 0 for the others."""
        if not isinstance(counts, Mapping):
            return counts
        kept = {name: count if self._access.allows(name) else 0 for name, count in counts.items() if name != "total"}
        # One client can be in several namespaces, so the largest count is a lower bound of the total.
        return {"total": max(kept.values(), default=0), **kept}

    def metrics(self) -> bytes:
        """Return all metrics. They describe every pipeline, so callers check that the access is unlimited."""
        return self._view.metrics()

    def events(self, since: str | None, namespace: str, limit: int) -> JournalPage:
        """Return events of an allowed namespace."""
        return self._view.events(since, namespace, limit)

    def follow(self, namespace: str, since: str | None, *, until: float | None = None) -> EventFollower:
        """Follow an allowed namespace until the access expires."""
        return self._view.follow(namespace, since, until=self._access.expires_at if until is None else until)

    def files(self, query: FileQuery) -> Sequence[FileMatch]:
        """Return the files of visible pipelines that match."""
        if not self._access.limited:
            return self._view.files(query)
        ids = self._ids() if query.pipeline_id is None else self._ids() & {query.pipeline_id}
        pages = (self._view.files(query._replace(pipeline_id=pipeline_id)) for pipeline_id in sorted(ids))
        newest_first = heapq.merge(*pages, key=lambda row: row.position, reverse=True)
        return list(itertools.islice(newest_first, query.limit))

    @property
    def search_refusal(self) -> str | None:
        """Why documents can't be searched over HTTP; None if they can."""
        return self._view.search_refusal

    @property
    def searchable_pipelines(self) -> frozenset[str] | None:
        """The ids of visible pipelines; None for all."""
        return frozenset(self._ids()) if self._access.limited else self._view.searchable_pipelines

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Search the documents of visible pipelines."""
        ids = self.searchable_pipelines
        if ids is not None:
            query = query._replace(pipelines=ids if query.pipelines is None else ids & query.pipelines)
        return self._view.search(query)

    def has_all_files(self) -> bool:
        """Return whether the journal knows every file that there was."""
        return self._view.has_all_files()

    def _ids(self) -> set[str]:
        return {str(state["pipeline_id"]) for state in self.states()}

    def _shows(self, state: Mapping[str, object]) -> bool:
        kind = state.get("pipeline_type")
        return self._access.shows(kind if isinstance(kind, str) else None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
