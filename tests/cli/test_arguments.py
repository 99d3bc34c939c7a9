"""Wrong arguments are one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rag_pipeline.cli.arguments import OneLineParser
from rag_pipeline.errors import ConfigurationError, ExitCode

pytestmark = pytest.mark.slow


def test_subcommands_raise_for_wrong_arguments_too() -> None:
    parser = OneLineParser(prog="x")
    parser.add_subparsers().add_parser("go").add_argument("--count", type=int)
    for wrong in (["stop"], ["go", "--count", "many"], ["--bogus"]):
        with pytest.raises(ConfigurationError):
            parser.parse_args(wrong)


@pytest.mark.parametrize(
    "wrong", [[], ["fly"], ["local-files", "--bogus"], ["search"], ["health", "--timeout", "soon"]]
)
def test_the_command_prints_one_line(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rag_pipeline", *wrong], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.startswith("rag-pipeline: error: ")
    assert done.stderr.count("\n") == 1
