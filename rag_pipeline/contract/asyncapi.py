"""The AsyncAPI 3.0 document: what the Socket.IO server sends, and what a client says when it connects."""

from __future__ import annotations

from typing import Any, get_args

from rag_pipeline.common.config import DEFAULT_HOST, DEFAULT_PORT
from rag_pipeline.contract import events, wire
from rag_pipeline.contract.schemas import reference, references, schemas

Document = dict[str, Any]

VERSION = "1.0.0"
"""Of the contract, not of the package: the first number rises when something in it goes, the second when it grows."""
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
argument, a JSON object. After the connection to a namespace comes one `pipeline:status` for each pipeline that is
shown there, and after it everything newer of that pipeline, in the order of `seq`, each once.

Fields that are not known are null, never missing. An object has exactly the fields that its schema names, but for
those of a pipeline's own, which stand in its state; a later version of this document may name more.
"""
_SERVER = """\
Socket.IO protocol 5 over Engine.IO protocol 4, at the path `/socket.io/`, by the transports `websocket` and
`polling`: any Socket.IO client of version 3 or 4 speaks it. Compression is not negotiated.
"""
_TOKEN = """\
In the payload of Socket.IO's CONNECT, as `auth: {token}`, see the message `connect`; where the service asks for none,
none is needed. It stands in no header and no address.
"""
_MEANINGS = {
    events.STATUS: "The whole state: first after the connection, on each update, and within 100 ms after file events.",
    events.FILE_STARTED: "A file is in flight.",
    events.FILE_PROGRESS: "Its stage or fraction changed: at most 10 a second for one file, the last always comes.",
    events.FILE_COMPLETED: "A file is done.",
    events.FILE_FAILED: "A file is done, with an error.",
    events.FILE_SKIPPED: "A file needs no work.",
    events.FILE_DELETED: "A file's source is gone.",
}
_CHANNELS = {
    events.NS_PIPELINE: "Every pipeline.",
    events.NS_GOOGLE_DRIVE: "Pipelines of the type `google_drive`.",
    events.NS_LOCAL_FILES: "Pipelines of the type `local_files`.",
    events.NS_ROOT: "Every pipeline: another name for `/pipeline`.",
}


def asyncapi() -> Document:
    """Return the document."""
    document: Document = {
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


def _server() -> Document:
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


def _security() -> Document:
    return {"type": "apiKey", "in": "password", "description": _TOKEN}


def _channel(namespace: str) -> Document:
    return {
        "address": namespace,
        "title": namespace,
        "description": _CHANNELS[namespace],
        "servers": [{"$ref": "#/servers/socketio"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages()},
    }


def _operations(namespace: str) -> list[tuple[str, Document]]:
    """Return what the service does there, as seen from the service."""
    key = _key(namespace)
    channel = {"$ref": f"#/channels/{key}"}

    def messages(*names: str) -> list[Document]:
        return [{"$ref": f"#/channels/{key}/messages/{name}"} for name in names]

    connect = {
        "action": "receive",
        "channel": channel,
        "summary": "A client connects; what it sends later is passed over.",
        "messages": messages("connect"),
        "reply": {"channel": channel, "messages": messages("connected", "connect_error")},
    }
    send = {
        "action": "send",
        "channel": channel,
        "summary": "What happens is told to every client, in order, each once.",
        "messages": messages(*map(_key, PAYLOADS)),
    }
    return [(f"connect_{key}", connect), (f"send_{key}", send)]


def _messages() -> dict[str, Document]:
    told = {_key(name): _message(name, _MEANINGS[name], payload) for name, payload in PAYLOADS.items()}
    return {
        **told,
        "connect": _message("connect", "CONNECT to a namespace, with Socket.IO's `auth`.", "ConnectAuth"),
        "connected": _message("connect", "The namespace lets the client in.", "Connected"),
        "connect_error": _message("connect_error", "The namespace refuses the client.", "ConnectError"),
    }


def _message(name: str, summary: str, payload: str) -> Document:
    return {"name": name, "title": name, "summary": summary, "payload": reference(payload)}


def _key(name: str) -> str:
    """Return a name as a key of the document: without ``/`` or ``pipeline:``; ``root`` for ``/`` alone."""
    if name == events.NS_ROOT:
        return "root"
    return name.removeprefix("pipeline:").removeprefix("/")
