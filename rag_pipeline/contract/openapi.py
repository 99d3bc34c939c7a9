"""The OpenAPI 3.1 document: every address of the HTTP server, what it can be asked, and what it answers."""

from __future__ import annotations

from typing import Any

from rag_pipeline.contract.asyncapi import LICENSE, VERSION
from rag_pipeline.contract.responses import RESPONSES, content, error, responses
from rag_pipeline.contract.schemas import reference, references, schemas

Document = dict[str, Any]

_ABOUT = """\
The state of pipelines that ingest documents, what happened to their files, and how the service is.

`HEAD` works where `GET` does, and `OPTIONS` on each address; any other method is a 405. JSON is in UTF-8 on one line,
and an error is `{"error": "<one line>"}`. Fields that are not known are null, never missing. An object has exactly the
fields that its schema names, but for those of a pipeline's own, which stand in its state; a later version of this
document may name more.
"""
_BEARER = """\
One of the service's tokens, or a JWT of an issuer that it knows. A service that was given neither asks for none.
"""
_STREAM = """\
Server-Sent Events, for a client whose `Accept` prefers `text/event-stream`: `event` is the event's name, `data` its
payload as JSON on one line (see `/asyncapi.json`), `id` its offset. It is what a Socket.IO client of that namespace
sees, and goes on for as long as the client listens. The events are those of the schema `EventItem`.
"""
_CONTROL = """\
Refused unless the service was started with `STATUS_CONTROL=1`. `pause` begins no further file and makes no further
check, `resume` goes on; `check` looks at the source now; `retry` does a failed file again, now; `cancel` leaves a file
that waits or is in flight, and does it after all others; `confirm` deletes the files that `deletions_held` in the state
counts. A pipeline of another process is asked where it runs.
"""
_COUNT = "For `confirm`: how many deletions are meant. If more are held by then, none is confirmed."
_OPEN: list[Document] = []
_EITHER: list[Document] = [{}, {"bearer": []}]


def openapi() -> Document:
    """Return the document."""
    document: Document = {
        "openapi": "3.1.0",
        "info": {"title": "rag-pipeline status", "version": VERSION, "description": _ABOUT, "license": LICENSE},
        "servers": [{"url": "/", "description": "Where this document is served, by default on port 8003."}],
        "security": [{"bearer": []}],
        "paths": {
            **{path: {"get": operation} for path, operation in _paths().items()},
            "/control/{pipeline_id}/{action}": {"post": _control()},
        },
        "components": {
            "responses": RESPONSES,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": _BEARER}},
        },
    }
    document["components"]["schemas"] = schemas("EventItem", "SocketServerHealth", *references(document))
    return document


def _paths() -> dict[str, Document]:
    return {
        "/": _dashboard(),
        "/status": _status(),
        "/status/{pipeline_id}": _pipeline(),
        "/events": _events(),
        "/files": _files(),
        "/health": _health(),
        "/metrics": _metrics(),
        "/asyncapi.json": _contract("getAsyncApi", "The events, as an AsyncAPI 3.0 document"),
        "/openapi.json": _contract("getOpenApi", "This document"),
    }


def _dashboard() -> Document:
    page = {"text/html": {"schema": {"type": "string"}}}
    return {
        "operationId": "getPage",
        "summary": "The page for people",
        "security": _OPEN,
        "responses": responses("The page.", page),
    }


def _status() -> Document:
    state = {"anyOf": [reference("Status"), reference("StatusSummary"), reference("NoPipelines")]}
    return {
        "operationId": "getStatus",
        "summary": "What the pipelines are doing right now",
        "description": "The default pipeline's state; with several pipelines all of them, too.",
        "parameters": [_SUMMARY],
        "responses": responses("The state.", content(state), "401"),
    }


def _pipeline() -> Document:
    state = {"anyOf": [reference("State"), reference("StateSummary")]}
    return {
        "operationId": "getPipelineStatus",
        "summary": "What one pipeline is doing right now",
        "parameters": [
            _parameter("pipeline_id", "A `/` in it is sent as `%2F`.", _PIPELINE_ID, place="path"),
            _SUMMARY,
        ],
        "responses": responses("The state.", content(state), "401", "404"),
    }


def _events() -> Document:
    answers = {**content(reference("EventPage")), "text/event-stream": {"schema": {"type": "string"}}}
    last = "What `EventSource` sends when it connects again: wins over `since`, in a stream."
    return {
        "operationId": "getEvents",
        "summary": "What happened, in pages, or live",
        "description": _STREAM,
        "parameters": [
            _parameter("since", "Events after this offset, or after the oldest that is kept.", _OFFSET),
            _parameter("namespace", "Whose events.", {"allOf": [reference("Namespace")], "default": "/pipeline"}),
            _parameter("limit", "Events in a page.", _LIMIT),
            _parameter("Last-Event-ID", last, {"type": "string"}, place="header"),
        ],
        "responses": responses("A page of events, or a stream.", answers, "401", "403"),
    }


def _files() -> Document:
    return {
        "operationId": "getFiles",
        "summary": "Every file, and what became of it",
        "description": "Each once, as of its last event, the one that changed last first.",
        "parameters": [
            _parameter("status", "What became of it.", reference("FileStatus")),
            _parameter(
                "q", "What name or error message contain, whatever the case.", {"type": "string", "maxLength": 200}
            ),
            _parameter("pipeline_id", "Whose files.", _PIPELINE_ID),
            _parameter("before", "Files that changed before this offset, which is of the journal kept now.", _OFFSET),
            _parameter("limit", "Files in a page.", _LIMIT),
        ],
        "responses": responses("A page of files.", content(reference("FilePage")), "401"),
    }


def _health() -> Document:
    answers = content({"anyOf": [reference("Health"), reference("HealthBrief")]})
    down = {"description": "The Socket.IO server does not answer, or there are too many clients.", "content": answers}
    down["content"] = content({"anyOf": [reference("Health"), reference("HealthBrief"), reference("Error")]})
    return {
        "operationId": "getHealth",
        "summary": "Whether every part works",
        "description": "The Socket.IO server is asked over its own port. Where the service knows tokens, a client "
        "without one is told the status alone. Port 8004 answers `/health` too, with a `SocketServerHealth`.",
        "security": _EITHER,
        "responses": {**responses("They work, maybe with a journal that is degraded.", answers), "503": down},
    }


def _metrics() -> Document:
    return {
        "operationId": "getMetrics",
        "summary": "What Prometheus scrapes, in its text format",
        "responses": responses("The metrics.", {"text/plain": {"schema": {"type": "string"}}}, "401", "403"),
    }


def _control() -> Document:
    answers = responses("The pipeline comes to it.", content(reference("ControlAnswer")), "401", "404", success="202")
    off = "Pipelines can't be directed here, or not by a page of this origin."
    return {
        "operationId": "directPipeline",
        "summary": "Pause a pipeline, let it go on, or look after a file",
        "description": _CONTROL,
        "parameters": [
            _parameter("pipeline_id", "A `/` in it is sent as `%2F`.", _PIPELINE_ID, place="path"),
            _parameter("action", "What it is asked for.", reference("Action"), place="path"),
            _parameter("file", "The id of the file, for `retry` and `cancel`.", {"type": "string", "minLength": 1}),
            _parameter("count", _COUNT, {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
        ],
        "responses": {
            **answers,
            "403": error(off),
            "409": error("The pipeline can't do that, or not now: the error says why."),
        },
    }


def _contract(name: str, summary: str) -> Document:
    answers = content({"type": "object"})
    return {
        "operationId": name,
        "summary": summary,
        "security": _OPEN,
        "responses": responses("The document.", answers),
    }


_PIPELINE_ID: Document = {"type": "string", "minLength": 1, "maxLength": 200}
_OFFSET: Document = {"type": "string", "minLength": 1}
_LIMIT: Document = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}


def _parameter(name: str, meaning: str, schema: Document, *, place: str = "query") -> Document:
    told = {"name": name, "in": place, "description": meaning, "schema": schema}
    return {**told, "required": True} if place == "path" else told


_SUMMARY = _parameter(
    "summary", "Leave out the lists of files, and keep their counts.", {"type": "boolean", "default": False}
)
