"""The official JSON Schemas of AsyncAPI and OpenAPI, from the npm packages of tests/js."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_MODULES = Path(__file__).parents[1] / "js" / "node_modules"


def metaschema(path: str) -> dict[str, Any]:
    """Return a schema; skip the test if its package is not installed."""
    file = _MODULES / path
    if not file.exists():
        pytest.skip(f"tests/js/node_modules/{path} is missing: npm ci --prefix tests/js")
    schema: dict[str, Any] = json.loads(file.read_bytes())
    return schema
