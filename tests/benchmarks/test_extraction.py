from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.extraction import kind_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_a_small_run_gives_a_table_of_each_reader_and_kind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Grüße aus Köln", encoding="cp1252")
    (tmp_path / "a.txt.truth.txt").write_text("Grüße aus Köln")
    (tmp_path / "b.pdf").write_text("not a PDF")
    (tmp_path / "b.pdf.truth.txt").write_text("head: x\nrow: a | b")
    out = tmp_path / "table.md"
    options = [str(tmp_path), "--peers", "ours,pypdf", "--repetitions", "1", "--out", str(out)]
    command = [sys.executable, "-m", "benchmarks.extraction", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert "| txt | 1 | ours | 1 | 1.000 | 1.000 | 1.000 | – |" in run.stdout
    assert "| pdf | 1 | ours | 0 | 0.000 | 0.000 | 0.000 | 0.000 |" in run.stdout
    assert out.read_text() == run.stdout
    errors = {(row["file"], row["reader"]): row["error"] for row in json.loads(out.with_suffix(".json").read_text())}
    assert errors.keys() == {("a.txt", "ours"), ("b.pdf", "ours"), ("b.pdf", "pypdf")}
    assert not errors["a.txt", "ours"]
    assert "b.pdf" in errors["b.pdf", "ours"]


def test_a_folder_without_truths_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.extraction", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert str(tmp_path) in run.stderr


def test_articles_are_a_kind_of_their_own() -> None:
    assert [kind_of(Path(name)) for name in ("article-x.html", "page.HTML", "a.pdf")] == [
        "html (article)",
        "html",
        "pdf",
    ]
