"""The README's code works, its links exist, and the settings page names only settings that the code reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.support.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def pipeline() -> PipelineStatus:
    pipeline = PipelineStatus("local_files", "readme")
    pipeline.update(status="running")
    return pipeline


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with start_status_server(0, pipelines=[pipeline]) as server:
        yield server


def first_line(command: list[str], cwd: Path, while_running: Callable[[], None] | None = None) -> str:
    """Return the first line that the program prints, and end it; meanwhile, make a call ten times a second."""
    with (
        subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as program,
        ThreadPoolExecutor(1) as pool,
    ):
        assert program.stdout is not None
        try:
            line = pool.submit(program.stdout.readline)
            for _ in range(int(10 * DEADLINE_SECONDS)):
                try:
                    return line.result(0.1)
                except TimeoutError:
                    if while_running is not None:
                        while_running()
            raise TimeoutError("the program printed nothing")
        finally:
            program.kill()


@pytest.mark.slow
def test_the_first_pipeline_works() -> None:
    """It is shortened: three files instead of 1,000, and no pauses."""
    code = blocks("python")[0].replace("8003)", "0)", 1).replace("1_000", "3").replace("sleep(0.5)", "sleep(0)")
    shown = "state = pipeline_status.get(); print(state['total_processed'], state['files_completed'][-1]['name'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{shown}\nserver.stop()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert re.fullmatch(r"watch it: http://127\.0\.0\.1:\d+\n3 document-2\.pdf\n", done.stdout)
    assert done.stderr == ""


def test_the_python_client_works(server: StatusServer, pipeline: PipelineStatus, tmp_path: Path) -> None:
    program = tmp_path / "client.py"
    program.write_text(blocks("python")[1].replace("8004", str(server.socket_port)))
    command = [sys.executable, "-u", str(program)]
    line = first_line(command, tmp_path, lambda: pipeline.update(status="running"))  # it prints new events only
    assert re.fullmatch(r"pipeline:status \d+\n", line)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (ROOT / "tests/js/node_modules").exists(), reason="npm ci was not run in tests/js")
def test_the_javascript_client_works(server: StatusServer, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/js/node_modules")
    program = tmp_path / "client.mjs"
    program.write_text(blocks("js")[0].replace("8004", str(server.socket_port)))
    assert first_line(["node", str(program)], tmp_path) == "readme: running, 0 done\n"


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_setting_on_the_settings_page_is_read() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rag_pipeline").rglob("*.py"))
    names = set(re.findall(r"`([A-Z]+_[A-Z_]+|ENVIRONMENT)`", page))
    assert len(names) > 10
    assert [name for name in sorted(names) if f'"{name}"' not in code] == []
