"""What ``/events`` and ``/files`` say: what happened, from the journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from rag_pipeline.access.decision import not_allowed
from rag_pipeline.contract.events import iso
from rag_pipeline.errors import JournalBusyError, JournalError
from rag_pipeline.http_server.accept import EVENT_STREAM, prefers_stream
from rag_pipeline.http_server.challenge import refused
from rag_pipeline.http_server.content import JSON_TYPE, Content, error_content, json_content
from rag_pipeline.http_server.encoding import encode_text
from rag_pipeline.http_server.event_stream import EventStream
from rag_pipeline.http_server.query import EventsQuery, QueryError, events_query, files_query
from rag_pipeline.http_server.service_view import EventPage, Source
from rag_pipeline.journal.base import FileRow

MAX_PAGE_CHARACTERS = 4 << 20
BUSY_SECONDS = 1

logger = logging.getLogger("rag_pipeline.http")


def events(source: Source, query: str, headers: Mapping[str, str]) -> Content:
    """Return the events of a namespace: a page as JSON, or a live stream where the client prefers one."""
    return _checked(lambda: _events(source, query, headers))


def files(source: Source, query: str) -> Content:
    """Return the files that fit, the one that changed last first."""
    return _checked(lambda: _files(source, query))


def _checked(make: Callable[[], Content]) -> Content:
    """Return the content, or the error where the query can't be used or the journal can't be read."""
    try:
        return make()
    except QueryError as error:
        return error_content(HTTPStatus.BAD_REQUEST, str(error))
    except JournalBusyError as error:
        return error_content(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": str(BUSY_SECONDS)})
    except JournalError as error:
        logger.warning("a request for the history failed: %s", error)
        return error_content(HTTPStatus.SERVICE_UNAVAILABLE, "the history can't be read now: see /health")


def _events(source: Source, query: str, headers: Mapping[str, str]) -> Content:
    asked = events_query(query)
    if asked.namespace not in source.addresses.namespaces:
        return refused(not_allowed(asked.namespace))
    if prefers_stream(headers.get("accept")):
        return _stream(source, asked, headers.get("last-event-id"))
    page = source.events(asked.since, asked.namespace, asked.limit)
    return Content(HTTPStatus.OK, JSON_TYPE, _render(page.within(MAX_PAGE_CHARACTERS)))


def _files(source: Source, query: str) -> Content:
    asked = files_query(query, source.position_of)
    rows = source.files(asked)
    following = source.offset_of(rows[-1].position) if len(rows) >= asked.limit else None
    listed = [_file(row, source) for row in rows]
    return json_content(HTTPStatus.OK, {"files": listed, "next": following, "complete": source.has_all_files()})


def _stream(source: Source, asked: EventsQuery, last_event_id: str | None) -> Content:
    # A browser that connects again sends the address it began with, and in this header how far it came since. Whatever
    # it says is no error: the browser would take that for final.
    since = last_event_id or asked.since
    # X-Accel-Buffering: nginx would gather events until a buffer is full.
    return Content(
        HTTPStatus.OK,
        EVENT_STREAM,
        lambda: EventStream(source.follow(asked.namespace, since)),
        {"X-Accel-Buffering": "no"},
    )


def _render(page: EventPage) -> bytes:
    # The payloads are JSON already: to read them only to write them again would cost the most of it.
    items = ",".join(f'{{"event":{json.dumps(item.name)},"data":{item.text}}}' for item in page.items)
    rest = json.dumps({"next": page.next, "recovered": page.recovered, "more": page.more}, separators=(",", ":"))
    return encode_text(f'{{"events":[{items}],{rest[1:]}\n')


def _file(row: FileRow, source: Source) -> dict[str, object]:
    return {
        **row.file,
        "status": row.status,
        "pipeline_id": row.pipeline_id,
        "changed_at": iso(row.changed_at),
        "offset": source.offset_of(row.position),
    }
