"""A source as one token's holder sees it: without the pipelines that are not for it, and not past its end."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rag_pipeline.access import Access
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.service_view import (
    EventPage,
    Follower,
    FollowerClosedError,
    Health,
    Item,
    Source,
    together,
)
from rag_pipeline.journal.base import FileQuery, FileRow
from rag_pipeline.status.control import Action, ControlError

PARTS_OF_EVERYONE = ("status", "port", "kind", "answered_in_ms")
"""What of the health of a part tells nothing of other pipelines: counts, sizes and errors may."""


class LimitedSource:
    """What the access lets through; a pipeline that it doesn't is one that does not exist.

    The namespaces among :attr:`addresses` are those that may be asked for; whoever asks for events has looked there.
    """

    def __init__(self, source: Source, access: Access) -> None:
        self._source = source
        self._access = access

    @property
    def addresses(self) -> Addresses:
        """The ports, and the namespaces that the access allows."""
        addresses = self._source.addresses
        return replace(addresses, namespaces=tuple(filter(self._access.allows, addresses.namespaces)))

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each pipeline that is shown."""
        return [state for state in self._source.states() if self._shows(state)]

    def status(self) -> Mapping[str, object]:
        """Return the state of the first one, with ``pipelines`` when there are several."""
        return together(self.states())

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if none of this id is shown."""
        state = self._source.pipeline(pipeline_id)
        return state if state is not None and self._shows(state) else None

    @property
    def controllable(self) -> bool:
        """Whether pipelines may be directed over HTTP."""
        return self._source.controllable

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Ask something of a pipeline that is shown."""
        if self.pipeline(pipeline_id) is None:
            raise ControlError(f"there is no pipeline {pipeline_id}")
        self._source.control(pipeline_id, action, file_id, count)

    def health(self) -> Health:
        """Return the health of all parts, and of the pipelines that are shown; nothing is counted that is not."""
        health = self._source.health()
        if not self._access.limited:
            return health
        shown = self._ids()
        pipelines = _mapping(health.body.get("pipelines"))
        changed: dict[str, object] = {
            "clients": self._clients(health.body.get("clients")),
            "clients_dropped": None,
            "pipelines": {pipeline_id: told for pipeline_id, told in pipelines.items() if pipeline_id in shown},
        }
        for part in ("socket_io", "journal"):
            told = _mapping(health.body.get(part))
            changed[part] = {key: value for key, value in told.items() if key in PARTS_OF_EVERYONE}
        return Health(health.ok, {**health.body, **{key: changed[key] for key in changed if key in health.body}})

    def _clients(self, counts: object) -> object:
        """Return the clients of the namespaces that the access allows; of the others, 0."""
        if not isinstance(counts, Mapping):
            return counts
        kept = {name: count if self._access.allows(name) else 0 for name, count in counts.items() if name != "total"}
        # One client may be in several: the largest is what there are at least.
        return {"total": max(kept.values(), default=0), **kept}

    def metrics(self) -> bytes:
        """Return what Prometheus scrapes, which tells of every pipeline."""
        return self._source.metrics()

    def events(self, since: str | None, namespace: str, limit: int) -> EventPage:
        """Return events of a namespace that is allowed."""
        return self._source.events(since, namespace, limit)

    def follow(self, namespace: str, since: str | None) -> Follower:
        """Begin to follow a namespace that is allowed, until the access ends."""
        follower = self._source.follow(namespace, since)
        until = self._access.expires_at
        return follower if until is None else ExpiringFollower(follower, until)

    def has_all_files(self) -> bool:
        """Return whether the files are all there were."""
        return self._source.has_all_files()

    def files(self, query: FileQuery) -> Sequence[FileRow]:
        """Return the files that fit, of the pipelines that are shown."""
        if not self._access.limited:
            return self._source.files(query)
        asked = self._ids() if query.pipeline_id is None else self._ids() & {query.pipeline_id}
        found = (self._source.files(query._replace(pipeline_id=pipeline_id)) for pipeline_id in sorted(asked))
        newest_first = heapq.merge(*found, key=lambda row: row.position, reverse=True)
        return list(itertools.islice(newest_first, query.limit))

    def position_of(self, offset: str) -> int | None:
        """Return the position that an offset of this journal stands for; None for any other string."""
        return self._source.position_of(offset)

    def offset_of(self, position: int) -> str:
        """Return the string that clients know a position by."""
        return self._source.offset_of(position)

    def _ids(self) -> set[str]:
        return {str(state["pipeline_id"]) for state in self.states()}

    def _shows(self, state: Mapping[str, object]) -> bool:
        kind = state.get("pipeline_type")
        return self._access.shows(kind if isinstance(kind, str) else None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


class ExpiringFollower:
    """A follower that ends at a wall-clock time."""

    def __init__(self, follower: Follower, until: float, clock: Callable[[], float] = time.time) -> None:
        self._follower = follower
        self._until = until
        self._clock = clock

    def next(self, timeout_seconds: float) -> Sequence[Item]:
        """Return what is there; raises FollowerClosedError once the time has come."""
        left = self._until - self._clock()
        if left <= 0:
            raise FollowerClosedError("the token has expired")
        return self._follower.next(min(timeout_seconds, left))

    def close(self) -> None:
        """Let go of the follower."""
        self._follower.close()
