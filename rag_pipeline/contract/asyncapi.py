"""The AsyncAPI 3.0 document: the events of the Socket.IO server, and the messages of a connect."""

from __future__ import annotations

from typing import get_args

from rag_pipeline.common.config import DEFAULT_HOST, DEFAULT_PORT
from rag_pipeline.contract import events, wire
from rag_pipeline.contract.events import Json
from rag_pipeline.contract.schemas import reference, references, schemas

VERSION = "1.0.0"
"""Of the contract, not of the package: a removal raises the first number, an addition the second."""
LICENSE = {"name": "MIT", "url": "https://opensource.org/license/mit"}

PAYLOADS = {
    **dict.fromkeys(get_args(wire.StatusEventName), "StatusEvent"),
    **dict.fromkeys(get_args(wire.FileEventName), "FileEvent"),
    **dict.fromkeys(get_args(wire.FileEndEventName), "FileEndEvent"),
}
"""The type of each event's payload, by the event's name."""

_ABOUT = """\
Live state of pipelines that ingest documents, over Socket.IO.

A channel is a Socket.IO namespace, a message's `name` is the event's name, and its payload is the event's only
argument, a JSON object. After a client connects to a namespace, it gets one `pipeline:status` for each pipeline there,
and then every newer event of that pipeline, in the order of `seq`, each once.

Unknown values are null, never missing. An object has exactly the fields that its schema names; only a state also has
the pipeline's own fields. A later version of this document may add fields.
"""
_SERVER = """\
Socket.IO protocol 5 over Engine.IO protocol 4, at the path `/socket.io/`, over the transports `websocket` and
`polling`. Any Socket.IO client of version 3 or 4 works. Compression is not negotiated.
"""
_TOKEN = """\
In the payload of Socket.IO's CONNECT, as `auth: {token}`: see the message `connect`. Needed only if the service
requires tokens. It is never part of a header or a URL.
"""
_DESCRIPTIONS = {
    events.STATUS: "The whole state: first after the connect, on each update, and within 100 ms after file events.",
    events.FILE_STARTED: "A file was started.",
    events.FILE_PROGRESS: "A file's stage or fraction changed: at most 10 a second for one file, always with the last.",
    events.FILE_COMPLETED: "A file completed.",
    events.FILE_FAILED: "A file failed.",
    events.FILE_SKIPPED: "A file was skipped: it needs no work.",
    events.FILE_DELETED: "A file's source is gone.",
}
_CHANNELS = {
    events.NS_PIPELINE: "Every pipeline.",
    events.NS_GOOGLE_DRIVE: "Pipelines of the type `google_drive`.",
    events.NS_LOCAL_FILES: "Pipelines of the type `local_files`.",
    events.NS_ROOT: "Every pipeline: another name for `/pipeline`.",
}


def asyncapi() -> Json:
    """Return the document."""
    document: Json = {
        "asyncapi": "3.0.0",
        "info": {"title": "rag-pipeline events", "version": VERSION, "description": _ABOUT, "license": LICENSE},
        "defaultContentType": "application/json",
        "servers": {"socketio": _server()},
        "channels": {_key(namespace): _channel(namespace) for namespace in _CHANNELS},
        "operations": {name: operation for namespace in _CHANNELS for name, operation in _operations(namespace)},
        "components": {"messages": _messages(), "securitySchemes": {"token": _security()}},
    }
    document["components"]["schemas"] = schemas("EventName", "Namespace", "Event", "State", *references(document))
    return document


def _server() -> Json:
    return {
        "host": "{host}:{port}",
        "pathname": "/socket.io/",
        "protocol": "socket.io",
        "protocolVersion": "5",
        "description": _SERVER,
        "variables": {
            "host": {"default": DEFAULT_HOST, "description": "`STATUS_HOST`."},
            "port": {"default": str(DEFAULT_PORT + 1), "description": "`SOCKET_IO_PORT`."},
        },
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


def _security() -> Json:
    return {"type": "apiKey", "in": "password", "description": _TOKEN}


def _channel(namespace: str) -> Json:
    return {
        "address": namespace,
        "title": namespace,
        "description": _CHANNELS[namespace],
        "servers": [{"$ref": "#/servers/socketio"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages()},
    }


def _operations(namespace: str) -> list[tuple[str, Json]]:
    """Return the operations of a namespace, as seen from the service."""
    key = _key(namespace)
    channel = {"$ref": f"#/channels/{key}"}

    def messages(*names: str) -> list[Json]:
        return [{"$ref": f"#/channels/{key}/messages/{name}"} for name in names]

    connect = {
        "action": "receive",
        "channel": channel,
        "summary": "A client connects; everything it sends later is ignored.",
        "messages": messages("connect"),
        "reply": {"channel": channel, "messages": messages("connected", "connect_error")},
    }
    send = {
        "action": "send",
        "channel": channel,
        "summary": "Every client gets each event once, in order.",
        "messages": messages(*map(_key, PAYLOADS)),
    }
    return [(f"connect_{key}", connect), (f"send_{key}", send)]


def _messages() -> dict[str, Json]:
    return {
        **{_key(name): _message(name, _DESCRIPTIONS[name], payload) for name, payload in PAYLOADS.items()},
        "connect": _message("connect", "CONNECT to a namespace, with Socket.IO's `auth`.", "ConnectAuth"),
        "connected": _message("connect", "The namespace accepts the client.", "Connected"),
        "connect_error": _message("connect_error", "The namespace refuses the client.", "ConnectError"),
    }


def _message(name: str, summary: str, payload: str) -> Json:
    return {"name": name, "title": name, "summary": summary, "payload": reference(payload)}


def _key(name: str) -> str:
    """Return a name as a key of the document: without ``/`` or ``pipeline:``, and ``root`` for ``/``."""
    if name == events.NS_ROOT:
        return "root"
    return name.removeprefix("pipeline:").removeprefix("/")
