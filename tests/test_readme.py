"""What the README says to paste works as it stands, apart from the ports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, StatusServer, start_status_server

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def server() -> Iterator[StatusServer]:
    pipeline = PipelineStatus("local_files", "readme")
    pipeline.update(status="running")
    with start_status_server(0, pipelines=[pipeline]) as server:
        yield server


def first_line(command: list[str], cwd: Path) -> str:
    """Return the first line that the program prints, and end it."""
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            return program.stdout.readline()
        finally:
            program.kill()


def test_the_lines_for_a_pipeline_work() -> None:
    code = blocks("python")[0].replace("8003)", "0)", 1)
    shown = "print(pipeline_status.get()['total_processed'], pipeline_status.get()['pipeline_type'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{shown}\nserver.stop()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1 google_drive\n", "")


def test_the_python_client_works(server: StatusServer, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(blocks("python")[1].replace("8004", str(server.socket_port)))
    assert first_line([sys.executable, "-u", str(program)], tmp_path) == "readme running 0 done\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (ROOT / "tests/js/node_modules").exists(), reason="npm ci was not run in tests/js")
def test_the_javascript_client_works(server: StatusServer, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/js/node_modules")
    program = tmp_path / "client.mjs"
    program.write_text(blocks("js")[0].replace("8004", str(server.socket_port)))
    assert first_line(["node", str(program)], tmp_path) == "readme: running, 0 in flight, 0 done\n"


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_setting_it_names_is_read() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rag_pipeline").rglob("*.py"))
    names = set(re.findall(r"`([A-Z]+_[A-Z_]+|ENVIRONMENT)`", README))
    assert len(names) > 10
    assert [name for name in sorted(names) if f'"{name}"' not in code] == []
