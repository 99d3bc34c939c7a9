from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("options", [["--quick"], ["--quick", "--kind", "skipped"], []])
def test_a_small_run_gives_figures_for_each_number(options: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.scale", "--files", "5,20", "--idle-seconds", "0.5", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["5", "5"], ["20", "20"]]
    assert all(float(row[2]) > 0 and float(row[7].replace(",", "")) > 0 for row in rows)


def test_it_stops_by_itself_though_the_work_is_not_done() -> None:
    command = [sys.executable, "-m", "benchmarks.scale", "--quick", "--files", "3000"]
    command += ["--seconds", "0.01", "--idle-seconds", "0.1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith("| 3,000 |")
