"""The document's schemas as JSON Schema, so that no response has an unknown field or type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from tests.drive.discovery import document

FORMATS: Mapping[str, dict[str, Any]] = {
    # JSON has no 64 bits of integers: they travel as text.
    "int64": {"pattern": r"^-?\d+$"},
    "date-time": {"format": "date-time"},
}


class AnswerError(AssertionError):
    """The fake Drive produced a response that Drive can't produce."""


def check(schema: str, answer: object) -> None:
    """Fail unless the response matches the schema: only known fields, each of its type."""
    problems = [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in _errors(schema, answer)]
    if problems:
        raise AnswerError(f"{schema}: {'; '.join(problems)}")


def _errors(schema: str, answer: object) -> list[jsonschema_rs.ValidationError]:
    return list(_validator(schema).iter_errors(answer))


@cache
def _validator(schema: str) -> jsonschema_rs.Draft7Validator:
    definitions = {name: _converted(described) for name, described in document()["schemas"].items()}
    return jsonschema_rs.Draft7Validator(
        {"$ref": f"#/definitions/{schema}", "definitions": definitions}, validate_formats=True
    )


def _converted(described: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in described:
        return {"$ref": f"#/definitions/{described['$ref']}"}
    if described["type"] == "any":
        return {}
    made: dict[str, Any] = {"type": described["type"], **FORMATS.get(described.get("format", ""), {})}
    if "enum" in described:
        made["enum"] = described["enum"]
    if "items" in described:
        made["items"] = _converted(described["items"])
    if described["type"] == "object":
        more = described.get("additionalProperties")
        made["additionalProperties"] = _converted(more) if more else False
        made["properties"] = {name: _converted(value) for name, value in described.get("properties", {}).items()}
    return made
