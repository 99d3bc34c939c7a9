"""JSON Schema of the types that go over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from rag_pipeline.contract import schemas as module
from rag_pipeline.contract import wire
from rag_pipeline.contract.schemas import reference, references, schema_of, schemas


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema_of(name)["properties"]
    return found


def test_a_schema_has_the_name_and_the_meaning_of_its_type() -> None:
    schema = schema_of("Totals")
    assert schema["title"] == "Totals"
    assert schema["description"] == wire.Totals.__doc__
    assert schema["properties"]["total_skipped"] == {
        "type": "integer",
        "minimum": 0,
        "description": "Files that needed no work.",
    }


def test_what_may_be_null_says_so_in_its_type() -> None:
    assert properties("File")["started_at"]["type"] == ["string", "null"]
    assert properties("File")["progress"]["type"] == ["number", "null"]
    assert properties("File")["error"]["anyOf"] == [reference("FileError"), {"type": "null"}]


def test_a_reference_stands_alone() -> None:
    schema = properties("FileEvent")["file"]
    assert schema["allOf"] == [reference("File")]
    assert schema["description"]


def test_a_field_is_required_unless_the_type_says_otherwise() -> None:
    required = set(schema_of("StatusEvent")["required"])
    assert set(properties("StatusEvent")) - required == {"recovered", "gap"}
    assert "required" not in schema_of("ConnectAuth")


def test_a_type_has_the_fields_of_those_it_is_made_of_first() -> None:
    fields = list(properties("FileEndEvent"))
    assert fields == [*properties("FileEvent")]
    assert fields[-1] == "totals"
    assert "totals" in schema_of("FileEndEvent")["required"]
    assert "totals" not in schema_of("FileEvent")["required"]


def test_own_fields_may_stand_in_a_state_and_in_nothing_else() -> None:
    found = {name for name, schema in schemas("Event", "Status").items() if schema.get("additionalProperties")}
    assert found == {"State", "StatusEvent", "Status"}
    assert schema_of("File")["additionalProperties"] is False


def test_names_are_an_enumeration() -> None:
    assert schema_of("Namespace")["enum"] == ["/google_drive", "/local_files", "/pipeline", "/"]
    assert schema_of("ClientCounts")["required"] == ["total", "/google_drive", "/local_files", "/pipeline"]


def test_a_union_names_its_parts() -> None:
    assert schema_of("Event")["anyOf"] == [reference(name) for name in ("StatusEvent", "FileEvent", "FileEndEvent")]
    assert properties("EventPage")["events"]["items"] == reference("EventItem")


def test_schemas_come_with_all_they_refer_to() -> None:
    found = schemas("FilePage")
    assert list(found) == ["FileError", "FilePage", "FileRow", "FileStatus"]
    assert set(references(found)) <= set(found)


def test_a_type_that_no_schema_is_known_for_is_told() -> None:
    with pytest.raises(TypeError, match="bytes"):
        module._render(bytes)


def test_every_field_has_a_meaning() -> None:
    for name, schema in schemas("Event", "EventItem", "Status", "NoPipelines", "FilePage", "Health", "Error").items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or name == "ClientCounts", f"{name}.{field}"
