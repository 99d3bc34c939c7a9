from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_outcomes_are_counted_by_kind(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    (files / "deep" / "a.txt").write_text("Plain text.")
    (files / "b.txt").write_text("")
    (files / "c.docx").write_bytes(b"PK\x03\x04 no archive")
    out = tmp_path / "outcomes.jsonl"
    command = [sys.executable, "-m", "benchmarks.collection", str(files), "--out", str(out), "--list", "EmptyFileError"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "| txt | 2 | 1 EmptyFileError, 1 read |" in run.stdout
    assert "| docx | 1 | 1 CorruptFileError |" in run.stdout
    assert "b.txt" in run.stderr
    outcomes = [json.loads(line) for line in out.read_text().splitlines()]
    assert [outcome["outcome"] for outcome in outcomes] == ["EmptyFileError", "CorruptFileError", "read"]
    assert outcomes[-1]["characters"] == len("Plain text.")
    assert max(outcome["memory_bytes"] for outcome in outcomes) > 1 << 20
