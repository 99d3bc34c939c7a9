from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_a_small_run_ends_with_the_right_store_and_says_what_it_cost() -> None:
    command = [sys.executable, "-m", "benchmarks.google_drive", "--files", "60", "--changes", "12", "--large-mb", "20"]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "exactly those in the folder" in run.stdout
    assert "20 MiB in" in run.stdout
