"""The arguments, and a short run against a real service."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile.__main__ import main, rows_of
from benchmarks.hostile.rows import ROWS

ROOT = Path(__file__).parents[3]


def test_rows_are_asked_for_by_number_or_name_and_come_in_their_order() -> None:
    assert [row.name for row in rows_of("idle, 0,1")] == ["none", "idle"]
    with pytest.raises(argparse.ArgumentTypeError, match="no row 'x'"):
        rows_of("1,x")


def test_a_folder_that_is_not_there_is_said_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--json", "/nowhere/figures.json"])
    assert ended.value.code == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_run_measures_everybody(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.hostile", "--quick", "--rows", "none,fragments", "--json"]
    run = subprocess.run([*command, str(figures)], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode in (0, 1), run.stderr  # a busy machine is slow, which is for the reader to judge
    assert [line.split("|")[1].strip() for line in run.stdout.splitlines()[2:4]] == ["0", "6"]
    for row in json.loads(figures.read_text())["rows"]:
        assert row["unopened"] == row["missed"] == row["lost"] == 0
        for span in ("health", "mutation", "live", "joins", "resumes"):
            assert row[span]["count"] > 0
        assert sum(one["sent_bytes"] for one in row["attackers"]) > 0 or row["name"] == ROWS[0].name
