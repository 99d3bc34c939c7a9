"""Validates requests against the discovery document of Drive v3 that google-api-python-client ships.

The fake Drive accepts only what this document describes, so it can't share a mistake with the client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from tests.drive.api_errors import ViolationError

BASE_PATH = "/drive/v3/"
IGNORED = frozenset({"prettyPrint", "quotaUser", "alt", "fields"})
"""Parameters of every method that change nothing, or are dealt with for all."""


class Method(NamedTuple):
    """A method of the API, such as ``files.get``: its verb, path pattern and description."""

    name: str
    verb: str
    path: re.Pattern[str]
    described: Mapping[str, Any]

    @property
    def schema(self) -> str | None:
        """The name of the response's schema; None if it is not JSON."""
        reference = self.described.get("response", {}).get("$ref")
        return str(reference) if reference else None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The descriptions of its parameters, the common ones included."""
        return {**document()["parameters"], **self.described.get("parameters", {})}


class Call(NamedTuple):
    """A valid request: the method, and its typed parameters with defaults."""

    method: Method
    given: Mapping[str, Any]

    @property
    def media(self) -> bool:
        """Whether the content is asked for, rather than what is known about it."""
        return self.given.get("alt") == "media"

    @property
    def operation(self) -> str:
        """The name for faults and the log; the same as the method's, except for content."""
        return "media" if self.media and self.method.name == "files.get" else self.method.name


@cache
def document() -> dict[str, Any]:
    """Return the discovery document."""
    shipped = resources.files("googleapiclient.discovery_cache.documents").joinpath("drive.v3.json")
    loaded: dict[str, Any] = json.loads(shipped.read_text(encoding="utf-8"))
    return loaded


@cache
def methods() -> tuple[Method, ...]:
    """Return all methods, paths with the fewest parameters first: ``files/trash`` is not a file id."""
    found = []
    for resource, described in document()["resources"].items():
        for name, method in described["methods"].items():
            form = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(method["path"]))
            found.append(Method(f"{resource}.{name}", method["httpMethod"], re.compile(form), method))
    return tuple(sorted(found, key=lambda method: method.path.groups))


def call(verb: str, path: str, query: str) -> Call:
    """Return the call, or raise ViolationError for an unknown path, verb, parameter or value."""
    method, in_path = _method(verb, path)
    parameters = method.parameters
    given = {name: value["default"] for name, value in parameters.items() if "default" in value}
    given = {name: _typed(name, value, parameters[name]) for name, value in given.items()}
    for name, text in {**_query(query), **in_path}.items():
        described = parameters.get(name)
        if described is None or described["location"] != ("path" if name in in_path else "query"):
            raise ViolationError(400, "invalidParameter", f"{method.name} has no parameter {name!r}", location=name)
        given[name] = _typed(name, text, described)
    for name, described in parameters.items():
        if described.get("required") and not given.get(name):
            raise ViolationError(400, "required", f"Required parameter: {name}", location=name)
    if given.get("alt") == "media" and not method.described.get("supportsMediaDownload"):
        raise ViolationError(400, "invalidParameter", f"{method.name} has no content to download", location="alt")
    return Call(method, given)


def check_known(called: Call, modelled: frozenset[str], asked: str) -> None:
    """Raise ViolationError for a parameter that is not modelled."""
    for name in _query(asked):
        if name not in modelled | IGNORED:
            raise ViolationError(501, "notImplemented", f"{called.method.name}: {name} is not modelled", location=name)


def _method(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    if not path.startswith(BASE_PATH):
        raise ViolationError(404, "notFound", f"no such path: {path}")
    others = []
    for method in methods():
        match = method.path.fullmatch(path.removeprefix(BASE_PATH))
        if match and method.verb == verb:
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
        if match:
            others.append(method.verb)
    if others:
        raise ViolationError(405, "httpMethodNotAllowed", f"{path} has {', '.join(others)}, not {verb}")
    raise ViolationError(404, "notFound", f"no such path: {path}")


def _query(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        raise ViolationError(400, "invalidParameter", f"a parameter is given twice: {query}")
    return dict(pairs)


def _typed(name: str, text: str, described: Mapping[str, Any]) -> Any:
    kind = described["type"]
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "integer" and re.fullmatch(r"-?\d+", text) and int(text) >= int(described.get("minimum", int(text))):
        # A page size over the maximum is coerced, the descriptions say.
        return min(int(text), int(described.get("maximum", int(text))))
    if kind == "string" and text in described.get("enum", [text]):
        return text
    raise ViolationError(400, "invalidParameter", f"{name}: {text!r} is no {kind} that is allowed", location=name)
