from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not shutil.which("gcc"), reason="the counting client is built with gcc")
def test_a_small_run_gives_a_ratio() -> None:
    small = ["--files", "5", "--clients", "3", "--repetitions", "1", "--embedder", "none"]
    command = [sys.executable, "-m", "benchmarks.ingestion", *small]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.splitlines()[-1].split("|")[-2]) > 0
