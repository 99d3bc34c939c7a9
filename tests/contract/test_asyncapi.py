"""The AsyncAPI document: valid by the official schema, and complete."""

from __future__ import annotations

import jsonschema_rs

from rag_pipeline.contract import events
from rag_pipeline.contract.asyncapi import asyncapi
from rag_pipeline.contract.events import Json
from tests.contract.metaschemas import metaschema

DOCUMENT = asyncapi()


def resolve(reference: str) -> Json:
    found: Json = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []


def test_the_document_is_valid_by_the_official_schema() -> None:
    validator = jsonschema_rs.validator_for(metaschema("@asyncapi/specs/schemas/3.0.0.json"))
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    assert not validator.is_valid({**DOCUMENT, "channels": {"x": {"addres": "/x"}}})


def test_every_reference_is_defined() -> None:
    for reference in references(DOCUMENT):
        assert resolve(reference)


def test_there_is_a_channel_for_each_namespace() -> None:
    assert sorted(channel["address"] for channel in DOCUMENT["channels"].values()) == sorted(events.NAMESPACE_NAMES)


def test_each_channel_has_every_event_and_the_connect_messages() -> None:
    for channel in DOCUMENT["channels"].values():
        names = {resolve(message["$ref"])["name"] for message in channel["messages"].values()}
        assert names == {*events.EVENT_NAMES, "connect", "connect_error"}


def test_the_service_sends_the_events_and_receives_connections() -> None:
    for key in DOCUMENT["channels"]:
        sent = DOCUMENT["operations"][f"send_{key}"]
        received = DOCUMENT["operations"][f"connect_{key}"]
        assert (sent["action"], received["action"]) == ("send", "receive")
        names = [resolve(resolve(message["$ref"])["$ref"])["name"] for message in sent["messages"]]
        assert tuple(names) == events.EVENT_NAMES


def test_a_client_can_send_a_token_and_an_offset() -> None:
    assert set(DOCUMENT["components"]["schemas"]["ConnectAuth"]["properties"]) == {"token", "offset", "recovery", "pid"}


def test_the_schemas_have_the_names_of_the_types() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    wanted = {"File", "FileError", "Totals", "State", "StatusEvent", "FileEvent", "FileEndEvent", "Event", "EventName"}
    assert wanted <= set(schemas)
    assert all(schema["title"] == name for name, schema in schemas.items())
