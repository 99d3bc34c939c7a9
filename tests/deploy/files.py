"""What the deployment files are made of, and what of the project they may name."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rag_pipeline.common.env import SECRETS

ROOT = Path(__file__).parents[2]

VARIABLE = re.compile(r"""["'`]([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)["'`]""")


class Instruction(NamedTuple):
    """A line of a Dockerfile: ``COPY``, and what follows it with continuations joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words, of the JSON form where it is one."""
        try:
            words: list[str] = json.loads(self.text)
        except json.JSONDecodeError:
            return self.text.split()
        return words


def read_dockerfile() -> list[Instruction]:
    """Return the instructions of the Dockerfile in order."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


@cache
def variables_read() -> frozenset[str]:
    """Return the names in capitals that stand as strings in the package: what it can read from the environment."""
    sources = (ROOT / "rag_pipeline").rglob("*.py")
    named = frozenset(name for path in sources for name in VARIABLE.findall(path.read_text()))
    return named | {f"{name}_FILE" for name in SECRETS}


@cache
def tracked() -> frozenset[str]:
    """Return the files that are in version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return frozenset(listed.stdout.split("\0"))


def is_tracked(path: str) -> bool:
    """Return whether a clone has the file, or a file in the folder."""
    path = path.removeprefix("./").rstrip("/")
    return path in tracked() or any(name.startswith(f"{path}/") for name in tracked())
