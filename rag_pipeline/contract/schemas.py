"""JSON Schemas of the wire types, in the subset that AsyncAPI 3.0 and OpenAPI 3.1 share.

The subset is draft 07 without what 2020-12 changed: ``$ref`` stands alone, and a nullable ``type`` lists null.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from rag_pipeline.contract import wire
from rag_pipeline.contract.events import Json

_SIMPLE = {NoneType: "null", bool: "boolean", int: "integer", float: "number", str: "string"}
ALIASES = {
    "Namespace": wire.Namespace,
    "EventName": wire.EventName,
    "FileStatus": wire.FileStatus,
    "ClientCounts": wire.ClientCounts,
    "Action": wire.Action,
    "ConnectError": wire.ConnectError,
    "Event": wire.Event,
    "EventItem": wire.EventItem,
}
"""Types with a schema of their own that are no class."""


def schemas(*names: str) -> dict[str, Json]:
    """Return the schemas of these types and of all types they refer to, by name."""
    found: dict[str, Json] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schema_of(name)
            waiting += references(found[name])
    return dict(sorted(found.items()))


def schema_of(name: str) -> Json:
    """Return the schema of a wire type; other types in it are references."""
    if name in ALIASES:
        return {"title": name, **_render(ALIASES[name], named=False)}
    return {"title": name, **_object(getattr(wire, name))}


def reference(name: str) -> Json:
    """Return a reference to a schema in the same document."""
    return {"$ref": f"#/components/schemas/{name}"}


def references(value: object) -> Iterator[str]:
    """Yield the names of the schemas that this part of a document refers to."""
    if isinstance(value, Mapping):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#/components/schemas/"):
            yield target.rpartition("/")[2]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def _object(shape: type) -> Json:
    hints = get_type_hints(shape, include_extras=True)
    descriptions = _field_descriptions()[shape.__name__]
    required = [field for field, hint in hints.items() if get_origin(hint) is not NotRequired]
    return {
        "description": inspect.getdoc(shape),
        "type": "object",
        "properties": {field: _field(hint, descriptions[field]) for field, hint in hints.items()},
        **({"required": required} if required else {}),
        "additionalProperties": shape in wire.OPEN,
    }


def _field(hint: object, description: str) -> Json:
    schema = _render(get_args(hint)[0] if get_origin(hint) is NotRequired else hint)
    # Draft 07 ignores everything beside a $ref.
    return (
        {"allOf": [schema], "description": description} if "$ref" in schema else {**schema, "description": description}
    )


def _render(hint: Any, *, named: bool = True) -> Json:
    """Return the schema of a type; if ``named``, a type with a name of its own becomes a reference."""
    if named and (name := _name_of(hint)) is not None:
        return reference(name)
    if hint is Any:
        return {}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {
            **_render(arguments[0]),
            **{key: v for constraint in arguments[1:] for key, v in constraint.keywords.items()},
        }
    if origin is Literal:
        return {"type": "string", "enum": [*arguments]}
    if origin is list:
        return {"type": "array", "items": _render(arguments[0])}
    if origin is dict:
        return _mapping(*arguments)
    if origin in (Union, UnionType):
        return _union([_render(argument) for argument in arguments])
    raise TypeError(f"no schema is known for {hint!r}")


def _name_of(hint: Any) -> str | None:
    if is_typeddict(hint):
        return str(hint.__name__)
    return next((name for name, alias in ALIASES.items() if alias == hint), None)


def _mapping(key: Any, value: Any) -> Json:
    if get_origin(key) is not Literal:
        return {"type": "object", "additionalProperties": _render(value)}
    names = [*get_args(key)]
    properties = {name: _render(value) for name in names}
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def _union(parts: list[Json]) -> Json:
    null = {"type": "null"}
    others = [part for part in parts if part != null]
    # Keywords such as minimum ignore null, but an enum would have to list it.
    if len(others) == 1 and null in parts and isinstance(others[0].get("type"), str) and "enum" not in others[0]:
        return {**others[0], "type": [others[0]["type"], "null"]}
    return {"anyOf": parts}


@cache
def _field_descriptions() -> dict[str, dict[str, str]]:
    """Return the strings below the fields of each class, read from the source because Python does not keep them."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(wire)).body:
        if isinstance(node, ast.ClassDef):
            bases = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in found]
            inherited = {field: text for base in bases for field, text in found[base].items()}
            found[node.name] = {**inherited, **dict(_strings_below(node.body))}
    return found


def _strings_below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            yield statement.target.id, inspect.cleandoc(str(following.value.value))
