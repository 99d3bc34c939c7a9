from __future__ import annotations

import os
import sys
from pathlib import Path

import pypdf
import pytest

from rag_pipeline.ingest.extract.readable_paths import readable_paths


def is_readable(path: str) -> bool:
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in readable_paths())


def test_python_and_its_libraries_are_readable() -> None:
    for module_file in (os.__file__, pypdf.__file__, __file__.replace("tests/", "rag_pipeline/")):
        assert is_readable(module_file)


def test_on_the_path_folders_of_libraries_are_readable_and_projects_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, vendored, installed, packed = (tmp_path / n for n in ("project", "vendored", "site-packages", "a.zip"))
    for folder in (project, vendored / "pypdfium2", installed):
        folder.mkdir(parents=True)
    (project / ".env").write_text("TOKEN=secret")
    packed.touch()
    monkeypatch.setattr(sys, "path", ["", "relative", "/", *map(str, (project, vendored, installed, packed))])
    readable = readable_paths()
    assert not {"", "/", "relative", str(project), str(tmp_path)} & set(readable)
    assert {str(vendored), str(installed), str(packed)} <= set(readable)


def test_home_and_root_are_not_readable() -> None:
    for path in ("/", "/etc", "/etc/passwd", "/proc/1/environ", "/tmp/x", str(Path.home()), "/var/lib"):
        assert not is_readable(path)
