"""The version of the package is that of its metadata."""

from __future__ import annotations

import tomllib
from pathlib import Path

import rag_pipeline


def test_the_version_is_that_of_pyproject() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert rag_pipeline.__version__ == project["version"]
