"""Runs pieces of the scripts in a small clone of their own, with a space in its path."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_clone(folder: Path) -> Path:
    """Return a folder with the scripts and requirement files that are quick to install."""
    clone = folder / "a clone"
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-model.txt", "pyproject.toml"):
        (clone / name).write_text("")
    return clone


def bash(clone: Path, script: str, *, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the lines with lib.sh loaded, from a folder that is not the clone, and no input."""
    return subprocess.run(
        ["/bin/bash", "-c", f"set -euo pipefail\n. '{clone}/scripts/lib.sh'\n{script}", "scripts/some"],
        cwd="/",
        env={**os.environ, "PATH": os.environ["PATH"] if path is None else path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def make_command(folder: Path, name: str, body: str) -> Path:
    """Write an executable shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / name
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)
    return command
