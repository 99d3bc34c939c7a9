"""Faults at random: ``python -m benchmarks.faults local-files|google-drive [--seed N] [--runs N] [--quick | --long]``.

A run takes a minute or two, with ``--quick`` some 20 seconds. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.faults.drive import DriveFolder
from benchmarks.faults.folder import Folder
from benchmarks.faults.report import as_table
from benchmarks.faults.run import run
from benchmarks.faults.world import Place, World
from benchmarks.lib.process import BenchmarkError

PLACES: Mapping[str, Callable[[World, Path], Place]] = {"local-files": Folder, "google-drive": DriveFolder}


def main(argv: Sequence[str] | None = None) -> int:
    """Do the runs and print a table of each; return the exit code."""
    parser = argparse.ArgumentParser(description="Pipelines under faults at random, judged at every moment.")
    parser.add_argument("place", choices=sorted(PLACES))
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count up (default: any)")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few of the faults alone")
    parser.add_argument("--long", action="store_true", help="the faults that matter most several times")
    options = parser.parse_args(argv)
    first = random.randrange(10_000) if options.seed is None else options.seed
    wrong = 0
    for seed in range(first, first + options.runs):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        try:
            verdict = run(PLACES[options.place], seed, quick=options.quick, long=options.long)
        except BenchmarkError as error:
            print(f"benchmarks.faults: seed {seed}: {error}", file=sys.stderr)
            return 1
        print(as_table(verdict), flush=True)
        wrong += bool(verdict.faults)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
