"""The npm package: types, build, and its own tests with a real service."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, environment

PACKAGE = ROOT / "clients" / "js"
NPM = shutil.which("npm")
SECONDS = 900.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NPM is None, reason="npm is not installed"),
    pytest.mark.skipif(
        not (PACKAGE / "node_modules" / "vitest").is_dir(),
        reason="clients/js/node_modules is missing: npm ci --prefix clients/js",
    ),
]


def npm_run(*arguments: str, folder: Path = PACKAGE) -> None:
    """Run one of the package's scripts; show its output if it fails."""
    assert NPM is not None
    done = subprocess.run(
        [NPM, "run", "--silent", *arguments],
        cwd=folder,
        env=environment({"PYTHON": sys.executable, "NO_COLOR": "1", "CI": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_its_types_match_the_contract() -> None:
    npm_run("check")


def test_its_own_tests_pass() -> None:
    npm_run("test")
