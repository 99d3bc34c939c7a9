"""Answers ``/events`` and ``/files`` from the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from rag_pipeline.access.decision import not_allowed
from rag_pipeline.contract.events import iso
from rag_pipeline.http_server.accept_header import EVENT_STREAM, prefers_stream
from rag_pipeline.http_server.challenge import refused
from rag_pipeline.http_server.content import JSON_TYPE, ResponseContent, json_content
from rag_pipeline.http_server.json_encoding import encode_text
from rag_pipeline.http_server.query import EventsQuery, events_query, files_query
from rag_pipeline.http_server.service_view import JournalPage, ServiceView
from rag_pipeline.http_server.sse import SseStream
from rag_pipeline.journal import FileMatch, offset_of


def events(view: ServiceView, query: str, headers: Mapping[str, str]) -> ResponseContent:
    """Return the events of a namespace: a page as JSON, or a live stream if the client prefers one."""
    parameters = events_query(query)
    if parameters.namespace not in view.addresses.namespaces:
        return refused(not_allowed(parameters.namespace))
    if prefers_stream(headers.get("accept")):
        return _stream(view, parameters, headers.get("last-event-id"))
    return ResponseContent(
        HTTPStatus.OK, JSON_TYPE, _render(view.events(parameters.since, parameters.namespace, parameters.limit))
    )


def files(view: ServiceView, query: str) -> ResponseContent:
    """Return the files that match, most recently changed first."""
    generations = view.generations
    parameters = files_query(query, generations.position_of)
    files = [_file(row, generations.identity) for row in view.files(parameters)]
    following = files[-1]["offset"] if len(files) >= parameters.limit else None
    return json_content(HTTPStatus.OK, {"files": files, "next": following, "complete": view.has_all_files()})


def _stream(view: ServiceView, parameters: EventsQuery, last_event_id: str | None) -> ResponseContent:
    # A reconnecting browser requests the same address, and this header tells how far it got. An unusable value is not
    # an error: the browser would never reconnect after one.
    since = last_event_id or parameters.since
    return ResponseContent(
        HTTPStatus.OK,
        EVENT_STREAM,
        lambda: SseStream(view.follow(parameters.namespace, since)),
        {"X-Accel-Buffering": "no"},  # else nginx holds events back until a buffer is full
    )


def _render(page: JournalPage) -> bytes:
    # The payloads are JSON already: decoding and encoding them again would be most of the work.
    items = ",".join(f'{{"event":{json.dumps(packet.name)},"data":{packet.text}}}' for packet in page.events)
    rest = json.dumps({"next": page.next, "recovered": page.recovered, "more": page.more}, separators=(",", ":"))
    return encode_text(f'{{"events":[{items}],{rest[1:]}\n')


def _file(row: FileMatch, identity: str) -> dict[str, object]:
    return {
        **row.file,
        "status": row.status,
        "pipeline_id": row.pipeline_id,
        "changed_at": iso(row.changed_at),
        "offset": offset_of(identity, row.position),
    }
