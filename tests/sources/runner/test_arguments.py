from __future__ import annotations

import argparse
from pathlib import Path

from rag_pipeline.sources.runner.arguments import add_arguments


def test_all_pipeline_commands_take_the_same_arguments() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--once", "--port", "0", "--state-dir", "kept", "--plain", "--confirm-deletions"])
    assert (args.once, args.port, args.state_dir, args.plain, args.confirm_deletions) == (
        True,
        0,
        Path("kept"),
        True,
        True,
    )
