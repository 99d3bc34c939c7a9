"""The dashboard's copies of the frontend client are those that ``scripts/vendor`` makes of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
DASHBOARD = ROOT / "rag_pipeline" / "http_server" / "dashboard"


@pytest.mark.skipif(not (CLIENT / "node_modules").exists(), reason="not installed: npm ci --prefix clients/js")
def test_the_copies_are_up_to_date() -> None:
    run = subprocess.run(
        [ROOT / "scripts" / "vendor", "--check"], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["store.js", "state-reducer.js"])
def test_a_copy_says_what_it_is_made_from(name: str) -> None:
    first, *_ = (DASHBOARD / name).read_text().splitlines()
    assert first == f"// Built from clients/js/src/{name.removesuffix('.js')}.ts by scripts/vendor; edits are lost."


def test_the_library_comes_with_its_licence() -> None:
    version = re.search(r"Socket\.IO v(\d+\.\d+)", (DASHBOARD / "socket.io.esm.min.js").read_text()[:200])
    assert version is not None
    assert "MIT License" in (DASHBOARD / "socket.io.LICENSE.txt").read_text()
