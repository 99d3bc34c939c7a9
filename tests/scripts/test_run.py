"""``scripts/run``: hands its arguments and its place in the process table to the pipeline."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.scripts.shell import bash, make_clone, make_command

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that is set up already, with a Python that only says what it was asked to run."""
    clone = make_clone(tmp_path)
    make_command(clone / ".venv" / "bin", "python", 'case $1 in -V | -I) ;; *) printf "%s\\n" "$$" "$PWD" "$@" ;; esac')
    done = bash(
        clone, 'stamp "$root"/{requirements,requirements-model}.txt "$root/pyproject.toml" >"$root/.venv/.stamp-run"'
    )
    assert done.returncode == 0, done.stderr
    return clone


def run(clone: Path, cwd: Path, *arguments: str) -> tuple[int, list[str]]:
    """Return the id of the started process and what the pipeline's Python was given."""
    with subprocess.Popen(
        [clone / "scripts" / "run", *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return process.pid, output.splitlines()


def test_without_arguments_it_runs_over_the_examples(clone: Path, tmp_path: Path) -> None:
    _, given = run(clone, tmp_path)
    assert given[2:] == ["-m", "rag_pipeline", "local-files", f"{clone.resolve()}/examples/documents"]


def test_arguments_go_through_and_stay_relative_to_where_it_was_called(clone: Path, tmp_path: Path) -> None:
    _, given = run(clone, tmp_path, "my papers", "--flag")
    assert given[1:] == [str(tmp_path), "-m", "rag_pipeline", "local-files", "my papers", "--flag"]


def test_the_pipeline_takes_the_place_of_the_script_so_that_signals_reach_it(clone: Path, tmp_path: Path) -> None:
    pid, given = run(clone, tmp_path)
    assert given[0] == str(pid)
