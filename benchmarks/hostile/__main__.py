"""Attack a service and see who notices: ``python -m benchmarks.hostile [--rows 1,idle,…] [--quick] [--json FILE]``.

Each row has a service of its own and takes some 20 s, 80 s where memory is looked at afterwards; with ``--quick`` 10 s.
Exit code 1 if anything was wrong, 2 on a wrong argument.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hostile.measure import QUICK, Figures, Times, measure
from benchmarks.hostile.report import as_table, wrong
from benchmarks.hostile.rows import ROWS, Row
from benchmarks.lib import machine
from benchmarks.lib.process import BenchmarkError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rows and print a table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="Attacks, and who notices them.")
    names = ", ".join(f"{number} {row.name}" for number, row in enumerate(ROWS))
    parser.add_argument("--rows", type=rows_of, default=ROWS, help=f"numbers or names, comma-separated: {names}")
    parser.add_argument("--quick", action="store_true", help="windows of 4 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args(argv)
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no such folder")
    found: list[tuple[Row, Figures]] = []
    try:
        for row in options.rows:
            print(f"{row.name} …", file=sys.stderr, flush=True)
            found.append((row, measure(row, QUICK if options.quick else Times())))
    except BenchmarkError as error:
        print(f"benchmarks.hostile: {row.name}: {error}", file=sys.stderr)
        return 1
    finally:  # what was measured before a failure is worth showing
        print(as_table(found))
        if options.json:
            _write(options.json, found)
    return 1 if any(fault for _, figures in found for fault in wrong(figures)) else 0


def rows_of(text: str) -> tuple[Row, ...]:
    """Return the rows that the numbers or names mean; raises ``ArgumentTypeError``."""
    known = {row.name: row for row in ROWS} | {str(number): row for number, row in enumerate(ROWS)}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"no row {name!r}: it is one of {', '.join(known)}")
    asked = {known[name].name for name in names}
    return tuple(row for row in ROWS if row.name in asked)


def _write(path: Path, found: Sequence[tuple[Row, Figures]]) -> None:
    rows = [{"name": row.name, "title": row.title, **figures.as_json()} for row, figures in found]
    path.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
