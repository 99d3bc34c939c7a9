"""The OpenAPI 3.1 document: every path of the HTTP server, with parameters and responses."""

from __future__ import annotations

from rag_pipeline.contract.asyncapi import LICENSE, VERSION
from rag_pipeline.contract.events import Json
from rag_pipeline.contract.responses import RESPONSES, content, error, responses
from rag_pipeline.contract.schemas import reference, references, schemas

_ABOUT = """\
The state of pipelines that ingest documents, the history of their files, and the health of the service.

`HEAD` works wherever `GET` does, and `OPTIONS` on every path; any other method gets a 405. JSON is in UTF-8 on one
line, and an error is `{"error": "<one line>"}`. Unknown values are null, never missing. An object has exactly the
fields that its schema names; only a state also has the pipeline's own fields. A later version of this document may add
fields.
"""
_BEARER = """\
One of the service's tokens, or a JWT of an issuer that it trusts. Needed only if the service requires tokens.
"""
_STREAM = """\
Server-Sent Events, for a client whose `Accept` prefers `text/event-stream`: `event` is the event's name, `data` its
payload as JSON on one line (see `/asyncapi.json`), `id` its offset. The client gets the same events as a Socket.IO
client of that namespace, until it disconnects. The events are those of the schema `EventItem`.
"""
_CONTROL = """\
Refused unless the service was started with `STATUS_CONTROL=1`. `pause` starts no more files or checks, and `resume`
ends the pause. `check` checks the source now. `retry` processes a failed file again, now. `postpone` stops a file that
waits or is in flight, and processes it after all others; its former name `cancel` is still accepted. `confirm` deletes
the files that `deletions_held` in the state counts. A pipeline of another process can be controlled only there.
"""
_SEARCH = """\
By words and by meaning; nothing is returned if nothing is near. Off unless the service requires tokens or was started
with `STATUS_SEARCH=1`, and has a store. One search runs at a time; more than a few at once get a 503.
"""
_PATH = "Pattern for a file's id or name: `*` stands for any characters, `?` for one. A folder stands for all in it."
_TYPE = "A MIME type such as `application/pdf` or `text/*`, an extension such as `pdf`, or a kind such as `markdown`."
_COUNT = "For `confirm`: the number of deletions. If more are held by then, none is confirmed."
_OPEN: list[Json] = []
_EITHER: list[Json] = [{}, {"bearer": []}]


def openapi() -> Json:
    """Return the document."""
    document: Json = {
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


def _paths() -> dict[str, Json]:
    return {
        "/": _dashboard(),
        "/status": _status(),
        "/status/{pipeline_id}": _pipeline(),
        "/events": _events(),
        "/files": _files(),
        "/search": _search(),
        "/health": _health(),
        "/metrics": _metrics(),
        "/asyncapi.json": _contract("getAsyncApi", "The events, as an AsyncAPI 3.0 document"),
        "/openapi.json": _contract("getOpenApi", "This document"),
    }


def _dashboard() -> Json:
    page = {"text/html": {"schema": {"type": "string"}}}
    return {
        "operationId": "getPage",
        "summary": "The dashboard, for people",
        "security": _OPEN,
        "responses": responses("The page.", page),
    }


def _status() -> Json:
    state = {"anyOf": [reference("Status"), reference("StatusSummary"), reference("NoPipelines")]}
    return {
        "operationId": "getStatus",
        "summary": "The current state of the pipelines",
        "description": "The default pipeline's state; with several pipelines, also the states of all.",
        "parameters": [_SUMMARY],
        "responses": responses("The state.", content(state), "401"),
    }


def _pipeline() -> Json:
    state = {"anyOf": [reference("State"), reference("StateSummary")]}
    return {
        "operationId": "getPipelineStatus",
        "summary": "The current state of one pipeline",
        "parameters": [
            _parameter("pipeline_id", "A `/` in it is sent as `%2F`.", _PIPELINE_ID, location="path"),
            _SUMMARY,
        ],
        "responses": responses("The state.", content(state), "401", "404"),
    }


def _events() -> Json:
    answers = {**content(reference("EventPage")), "text/event-stream": {"schema": {"type": "string"}}}
    last = "Sent by `EventSource` when it reconnects; overrides `since`, in a stream."
    return {
        "operationId": "getEvents",
        "summary": "Events, in pages or live",
        "description": _STREAM,
        "parameters": [
            _parameter("since", "Return events after this offset; default: from the oldest that is kept.", _OFFSET),
            _parameter(
                "namespace",
                "The namespace of the events.",
                {"allOf": [reference("Namespace")], "default": "/pipeline"},
            ),
            _parameter("limit", "The most events in a page.", _LIMIT),
            _parameter("Last-Event-ID", last, {"type": "string"}, location="header"),
        ],
        "responses": responses("A page of events, or a stream.", answers, "401", "403"),
    }


def _files() -> Json:
    return {
        "operationId": "getFiles",
        "summary": "Every file and its outcome",
        "description": "Each file once, as of its last event; the file that changed last comes first.",
        "parameters": [
            _parameter("status", "Its newest outcome, or `processing`.", reference("FileStatus")),
            _parameter(
                "q", "Text in the name or the error message, ignoring case.", {"type": "string", "maxLength": 200}
            ),
            _parameter("pipeline_id", "The pipeline of the files.", _PIPELINE_ID),
            _parameter(
                "warnings", "Only completed files with warnings, or, if false, all others.", {"type": "boolean"}
            ),
            _parameter("before", "Return files that changed before this offset of the current journal.", _OFFSET),
            _parameter("limit", "The most files in a page.", _LIMIT),
        ],
        "responses": responses("A page of files.", content(reference("FilePage")), "401"),
    }


def _search() -> Json:
    answers = responses("The texts that answer the question, best first.", content(reference("SearchAnswer")), "401")
    question: Json = {"type": "string", "minLength": 1, "maxLength": 2000}
    return {
        "operationId": "searchDocuments",
        "summary": "Search the stored documents",
        "description": _SEARCH,
        "parameters": [
            {**_parameter("q", "What to look for, in words.", question), "required": True},
            _parameter("pipeline", "The pipeline that stored the documents.", _PIPELINE_ID),
            _parameter("path", _PATH, {"type": "string", "minLength": 1, "maxLength": 1000}),
            _parameter(
                "type", _TYPE, {"type": "string", "pattern": "^[A-Za-z0-9_.+*-]{1,100}(/[A-Za-z0-9_.+*-]{1,100})?$"}
            ),
            _parameter("limit", "The most results.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 5}),
        ],
        "responses": {
            **answers,
            "403": error("Search is off."),
            "404": error("The token does not show this pipeline."),
        },
    }


def _health() -> Json:
    answers = content({"anyOf": [reference("Health"), reference("HealthBrief")]})
    down = {"description": "The Socket.IO server does not answer, or there are too many clients.", "content": answers}
    down["content"] = content({"anyOf": [reference("Health"), reference("HealthBrief"), reference("Error")]})
    return {
        "operationId": "getHealth",
        "summary": "The health of all parts",
        "description": "The Socket.IO server is checked over its own port. If the service requires tokens, a client "
        "without one gets the status only. Port 8004 answers `/health` too, with a `SocketServerHealth`.",
        "security": _EITHER,
        "responses": {**responses("All parts work; the journal may be degraded.", answers), "503": down},
    }


def _metrics() -> Json:
    return {
        "operationId": "getMetrics",
        "summary": "Metrics in the text format of Prometheus",
        "responses": responses("The metrics.", {"text/plain": {"schema": {"type": "string"}}}, "401", "403"),
    }


def _control() -> Json:
    answers = responses("The request is accepted.", content(reference("ControlAnswer")), "401", "404", success="202")
    off = "Control is off, or not allowed for pages of this origin."
    return {
        "operationId": "directPipeline",
        "summary": "Control a pipeline, or one of its files",
        "description": _CONTROL,
        "parameters": [
            _parameter("pipeline_id", "A `/` in it is sent as `%2F`.", _PIPELINE_ID, location="path"),
            _parameter("action", "The requested action.", reference("Action"), location="path"),
            _parameter("file", "The id of the file, for `retry` and `postpone`.", {"type": "string", "minLength": 1}),
            _parameter("count", _COUNT, {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
        ],
        "responses": {
            **answers,
            "403": error(off),
            "409": error("The pipeline can't do this, or not now: the error says why."),
        },
    }


def _contract(name: str, summary: str) -> Json:
    answers = content({"type": "object"})
    return {
        "operationId": name,
        "summary": summary,
        "security": _OPEN,
        "responses": responses("The document.", answers),
    }


_PIPELINE_ID: Json = {"type": "string", "minLength": 1, "maxLength": 200}
_OFFSET: Json = {"type": "string", "minLength": 1}
_LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}


def _parameter(name: str, description: str, schema: Json, *, location: str = "query") -> Json:
    parameter = {"name": name, "in": location, "description": description, "schema": schema}
    return {**parameter, "required": True} if location == "path" else parameter


_SUMMARY = _parameter(
    "summary", "Leave out the lists of files, but not the counts.", {"type": "boolean", "default": False}
)
