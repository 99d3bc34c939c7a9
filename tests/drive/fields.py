"""Parser for the ``fields`` parameter in Drive's notation, checked against the schemas.

``nextPageToken,files(id,capabilities/canDownload)``: names with commas between them, parts of one in parentheses or
after a slash, ``*`` for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.drive.api_errors import ViolationError
from tests.drive.discovery import document

Mask = dict[str, "Mask"]
"""The wanted names, each with the wanted parts of it; none of them: all of it."""

DEFAULTS = {
    "File": "kind,id,name,mimeType,resourceKey",
    "FileList": "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType,resourceKey)",
    "ChangeList": "kind,nextPageToken,newStartPageToken,changes(kind,type,changeType,time,removed,fileId,driveId,"
    "file(kind,id,name,mimeType),drive(kind,id,name))",
    "Drive": "kind,id,name",
    "DriveList": "kind,nextPageToken,drives(kind,id,name)",
    "StartPageToken": "kind,startPageToken",
}
"""What Drive answers with when nothing is asked for in particular."""


def mask_for(schema: str, fields: str | None) -> Mask:
    """Return the mask; raise ViolationError for an invalid notation or an unknown field."""
    if fields is None and schema == "About":
        raise ViolationError(400, "required", "The 'fields' parameter is required for this method.", location="fields")
    mask = parse(DEFAULTS[schema] if fields is None else fields)
    _check(mask, {"$ref": schema})
    return mask


def parse(text: str) -> Mask:
    """Parse a mask."""
    tokens = re.findall(r"[\w$-]+|\*|[,/()]|\S", text)
    mask, rest = _list(tokens)
    if rest:
        raise _invalid(text)
    return mask


def cut_down(value: Any, mask: Mapping[str, Mask]) -> Any:
    """Return the parts of a JSON value that the mask selects."""
    if not mask:
        return value
    if isinstance(value, list):
        return [cut_down(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    everything = mask.get("*")
    kept = {}
    for name, part in value.items():
        wanted = mask.get(name, everything)
        if wanted is not None:
            kept[name] = cut_down(part, wanted)
    return kept


def _list(tokens: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        tokens = _item(tokens, mask)
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]


def _item(tokens: list[str], mask: Mask) -> list[str]:
    if not tokens or not re.fullmatch(r"[\w$-]+|\*", tokens[0]):
        raise _invalid(tokens[0] if tokens else "")
    name, tokens = tokens[0], tokens[1:]
    parts: Mask = {}
    if tokens and tokens[0] == "/":
        tokens = _item(tokens[1:], parts)
    elif tokens and tokens[0] == "(":
        parts, tokens = _list(tokens[1:])
        if not tokens or tokens[0] != ")":
            raise _invalid(name)
        tokens = tokens[1:]
    _add(mask, name, parts)
    return tokens


def _add(mask: Mask, name: str, parts: Mask) -> None:
    if name not in mask:
        mask[name] = parts
    elif not mask[name] or not parts:
        mask[name] = {}  # all of it was wanted once, which parts can't narrow
    else:
        for part, inner in parts.items():
            _add(mask[name], part, inner)


def _check(mask: Mask, described: Mapping[str, Any]) -> None:
    if "$ref" in described:
        described = document()["schemas"][described["$ref"]]
    if "items" in described:
        return _check(mask, described["items"])
    properties: Mapping[str, Any] = described.get("properties", {})
    for name, parts in mask.items():
        inner = properties.get(name, described.get("additionalProperties"))
        if name == "*":
            for one in properties.values() if parts else ():
                _check(parts, one)
        elif inner is None:
            raise _invalid(name)
        elif parts:
            _check(parts, inner)
    return None


def _invalid(name: str) -> ViolationError:
    return ViolationError(400, "invalidParameter", f"Invalid field selection {name}", location="fields")
