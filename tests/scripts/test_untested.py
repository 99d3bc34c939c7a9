"""``scripts/untested.py`` names the module that has no test file, and the exception that is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.shell import make_clone


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    clone = make_clone(tmp_path)
    for name in ("rag_pipeline/a/b.py", "rag_pipeline/a/__init__.py", "tests/a/test_b.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).touch()
    return clone


def untested(clone: Path) -> tuple[int, str]:
    """Return the exit code and the output."""
    run = subprocess.run(
        [sys.executable, clone / "scripts" / "untested.py"], capture_output=True, text=True, timeout=60, check=False
    )
    return run.returncode, run.stdout


def test_a_tree_whose_modules_all_have_tests_passes(clone: Path) -> None:
    assert untested(clone) == (0, "each of 2 modules has its test file\n")


def test_a_module_without_a_test_is_named(clone: Path) -> None:
    (clone / "rag_pipeline" / "a" / "lonely.py").touch()
    assert untested(clone) == (1, "rag_pipeline/a/lonely.py: no test file tests/a/test_lonely.py\n")


def test_an_exception_that_has_a_test_is_named(clone: Path) -> None:
    (clone / "rag_pipeline" / "__main__.py").touch()
    (clone / "tests" / "test___main__.py").touch()
    assert untested(clone)[0] == 1
