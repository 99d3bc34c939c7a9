"""The built wheel: the service alone brings a handful of packages, and nothing of what ingestion needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import ROOT

BROUGHT = {
    "rag-pipeline",
    "python-socketio", "python-engineio", "bidict", "simple-websocket", "wsproto", "h11",
    "eventlet", "greenlet", "dnspython",
    "requests", "urllib3", "idna", "certifi", "charset-normalizer", "prometheus-client",
} | ({"typing-extensions"} if sys.version_info < (3, 13) else set())  # fmt: skip

pytestmark = pytest.mark.slow


def run(*command: str | Path, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel, from the package index, in the versions that are pinned."""
    venv = tmp_path_factory.mktemp("venv")
    python = venv / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    probed = run(*pip, "download", "-q", "--retries", "1", "--no-deps", "-d", venv, "bidict", seconds=60)
    if probed.returncode != 0:
        pytest.skip(f"the package index can't be reached: {probed.stderr.strip().splitlines()[-1:]}")
    # The wheel has just been built, so nobody knows its hash, and pip asks for one as soon as another package has one.
    pins = [line.removesuffix(" \\") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    (versions := venv / "versions.txt").write_text("\n".join(pins))
    installed = run(*pip, "--python", python, "install", "-q", "-c", versions, wheel)
    assert installed.returncode == 0, installed.stderr
    return python


def test_the_service_alone_brings_little(python: Path) -> None:
    listed = run(sys.executable, "-m", "pip", "--python", python, "list", "--format", "json")
    assert {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)} == BROUGHT


def test_the_service_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    code = (
        "import rag_pipeline, status_server\n"
        "with status_server.start_status_server(0): rag_pipeline.pipeline_status.update(status='running')\n"
        "print(rag_pipeline.__file__)"
    )
    ran = run(python, "-I", "-W", "error", "-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert str(python.parents[1]) in ran.stdout


def test_the_dashboard_and_the_documents_are_in_the_wheel(python: Path) -> None:
    code = (
        "import re, urllib.request, status_server\n"
        "with status_server.start_status_server(0) as server:\n"
        "    address = f'http://127.0.0.1:{server.http_port}'\n"
        "    page = urllib.request.urlopen(address).read().decode()\n"
        '    used = re.findall(r\'(?:src|href)="([^"#:]+)"\', page)\n'
        "    for path in {'openapi.json', 'asyncapi.json', 'metrics', *used}:\n"
        "        body = urllib.request.urlopen(f'{address}/{path.lstrip(\"/\")}').read()\n"
        "        print(path, len(body))"
    )
    ran = run(python, "-I", "-W", "error", "-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")
    sizes = {path: int(size) for path, size in (line.split() for line in ran.stdout.splitlines())}
    assert {"dashboard/main.js", "dashboard/base.css"} <= sizes.keys()
    assert sizes["openapi.json"] > 10_000
    assert sizes["asyncapi.json"] > 10_000
    assert min(sizes.values()) > 0


def test_the_types_are_shipped(wheel: Path) -> None:
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel)
    assert "rag_pipeline/py.typed" in listed.stdout
    assert "status_server.py" in listed.stdout
