"""Checks what tests receive from the service against the documents that it serves.

The clients of the tests call it for each event and answer, so an event of a shape that the contract does not name fails
whichever test sees it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from rag_pipeline.contract import document
from rag_pipeline.contract.events import EVENT_NAMES
from rag_pipeline.contract.schemas import reference
from rag_pipeline.status.control import Action

Document = dict[str, Any]
ACTIONS = tuple(f"/{action}" for action in Action)
UNNAMED = ("/socket.io", "/dashboard/")
"""Paths of Engine.IO and of the dashboard's files, which the contract does not cover."""


class ContractError(AssertionError):
    """A received message violates the contract."""


def check_event(name: str, payload: object) -> None:
    """Fail unless the payload is valid for an event of this name, as Socket.IO and streams carry it."""
    if name not in EVENT_NAMES:
        raise ContractError(f"the contract knows no event {name!r}")
    _check(_messages()[name.removeprefix("pipeline:")], payload, name)


def check_packet(packet: str) -> None:
    """Fail if an Engine.IO packet is an invalid answer to CONNECT; ignores all other packets."""
    answer = {"40": "connected", "44": "connect_error"}.get(packet[:2])
    if answer is not None:
        namespace, data = split(packet[2:])
        _check(_messages()[answer], json.loads(data), f"{answer} of {namespace}")


def split(packet: str) -> tuple[str, str]:
    """Split a Socket.IO packet without its type into namespace and data; no namespace means the root."""
    if not packet.startswith("/"):
        return "/", packet
    namespace, _, data = packet.partition(",")
    return namespace, data


def check_answer(target: str, status: int, headers: Mapping[str, str], body: bytes | str, method: str = "GET") -> None:
    """Fail unless the contract has such an answer to the target; header names in any case.

    ``/health`` may be that of the Socket.IO server's own port.
    """
    url = urlsplit(target)
    path = url.path.rstrip("/") or "/"
    summary = "summary=true" in url.query.split("&")
    if path.startswith(UNNAMED):
        return
    kind = {key.lower(): value for key, value in headers.items()}.get("content-type", "").partition(";")[0]
    shape = f"{status} of {path}"
    schemas = _schemas_of(path, status, method.lower())
    if kind not in schemas:
        raise ContractError(f"{shape} is {kind or 'nothing'}, expected {', '.join(schemas) or 'no such status'}")
    if kind == "application/json" and body:
        _check(_answer(path, status, method.lower(), summary=summary), json.loads(body), shape)


def check_item(item: Mapping[str, Any]) -> None:
    """Fail unless it is a valid item of a page of events."""
    check_event(item["event"], item["data"])


def _check(validator: Any, value: object, what: str) -> None:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{step!r}]" for step in error.instance_path)
        raise ContractError(f"{what}{place}: {error.message[:300]}") from None


@cache
def _messages() -> Mapping[str, Any]:
    """Return a validator of each message's payload, by the message's key in the document."""
    told = json.loads(document("asyncapi.json"))
    return {
        key: jsonschema_rs.Draft7Validator(
            {**message["payload"], "components": told["components"]}, validate_formats=True
        )
        for key, message in told["components"]["messages"].items()
    }


@cache
def _openapi() -> Document:
    told: Document = json.loads(document("openapi.json"))
    return told


@cache
def _schemas_of(path: str, status: int, method: str) -> Mapping[str, Document]:
    """Return the schema of each content type of the response; empty for an unknown status."""
    told = _openapi()
    operation = told["paths"].get(_template(path))
    if operation is None:  # OPTIONS and unknown methods are answered too
        response = told["components"]["responses"]["NotFound"] if status == 404 else {}
    else:
        response = operation.get(method, {}).get("responses", {}).get(str(status), {})
        if method not in operation and status == 405:
            response = told["components"]["responses"]["MethodNotAllowed"]
    if "$ref" in response:
        response = told["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found = {kind: content["schema"] for kind, content in response.get("content", {}).items()}
    if path == "/health" and status == 200:
        either = [found["application/json"], {"$ref": "#/components/schemas/SocketServerHealth"}]
        found["application/json"] = {"anyOf": either}
    return found


@cache
def _answer(path: str, status: int, method: str, *, summary: bool) -> Any:
    schema = {**_schemas_of(path, status, method)["application/json"], "components": _openapi()["components"]}
    if path.startswith("/status") and "anyOf" in schema:
        # Allow summaries only if requested: otherwise a state without its lists would pass as one.
        kinds = [one for one in schema["anyOf"] if one["$ref"].endswith("Summary") is summary]
        schema["anyOf"] = [*kinds, reference("NoPipelines")]
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


def _template(path: str) -> str:
    if path.startswith("/status/"):
        return "/status/{pipeline_id}"
    control = path.startswith("/control/") and path.endswith(ACTIONS)
    return "/control/{pipeline_id}/{action}" if control else path
