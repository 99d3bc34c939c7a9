from __future__ import annotations

from typing import Any

import pytest

from rag_pipeline.contract import schemas as module
from rag_pipeline.contract import wire
from rag_pipeline.contract.schemas import reference, references, schema_of, schemas


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema_of(name)["properties"]
    return found


def test_a_schema_has_the_name_and_description_of_its_type() -> None:
    schema = schema_of("Totals")
    assert schema["title"] == "Totals"
    assert schema["description"] == wire.Totals.__doc__
    assert schema["properties"]["total_skipped"] == {
        "type": "integer",
        "minimum": 0,
        "description": "Files that needed no work.",
    }


def test_a_nullable_type_lists_null() -> None:
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


def test_inherited_fields_come_first() -> None:
    fields = list(properties("FileEndEvent"))
    assert fields == [*properties("FileEvent")]
    assert fields[-1] == "totals"
    assert "totals" in schema_of("FileEndEvent")["required"]
    assert "totals" not in schema_of("FileEvent")["required"]


def test_only_states_allow_own_fields() -> None:
    found = {name for name, schema in schemas("Event", "Status").items() if schema.get("additionalProperties")}
    assert found == {"State", "StatusEvent", "Status"}
    assert schema_of("File")["additionalProperties"] is False


def test_names_are_an_enumeration() -> None:
    assert schema_of("Namespace")["enum"] == ["/google_drive", "/local_files", "/pipeline", "/"]
    assert schema_of("ClientCounts")["required"] == ["total", "/google_drive", "/local_files", "/pipeline"]


def test_a_union_lists_its_parts() -> None:
    assert schema_of("Event")["anyOf"] == [reference(name) for name in ("StatusEvent", "FileEvent", "FileEndEvent")]
    assert properties("EventPage")["events"]["items"] == reference("EventItem")


def test_schemas_include_everything_they_refer_to() -> None:
    found = schemas("FilePage")
    assert list(found) == ["FileError", "FilePage", "FileRow", "FileStatus", "FileWarning"]
    assert set(references(found)) <= set(found)


def test_a_type_without_a_schema_is_an_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        module._render(bytes)


def test_every_field_has_a_description() -> None:
    for name, schema in schemas("Event", "EventItem", "Status", "NoPipelines", "FilePage", "Health", "Error").items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or name == "ClientCounts", f"{name}.{field}"
