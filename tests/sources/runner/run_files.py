"""Writes and reads run files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.runner.run_file import RunFile, read_file

FOLDER = '[[pipeline]]\nkind = "local_files"\n'


def written(folder: Path, text: str) -> Path:
    """Return the path of a run file with this text."""
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, env: Mapping[str, str] | None = None) -> RunFile:
    """Return the content of a file; the environment is empty unless given."""
    return read_file(written(folder, text), env=env or {})


def problem(folder: Path, text: str, env: Mapping[str, str] | None = None) -> str:
    """Return the error for a file, without the path that it must start with."""
    with pytest.raises(ConfigurationError) as error:
        read(folder, text, env)
    said = str(error.value)
    assert said.startswith(str(folder / "run.toml"))
    assert "\n" not in said
    return said.removeprefix(str(folder / "run.toml")).removeprefix(": ").strip()
