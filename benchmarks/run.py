"""Run the fan-out benchmarks: ``python -m benchmarks.run [--cases …] [--servers …] [--quick] [--out FILE]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from benchmarks.lib import machine, report
from benchmarks.lib.cases import Case, all_cases
from benchmarks.lib.client import build
from benchmarks.lib.process import BenchmarkError
from benchmarks.lib.report import Row
from benchmarks.lib.server import SERVERS, Server

RUN_ONCE = ("threading", "asgi")
"""Peers so far behind that repeating them costs minutes and tells nothing."""


def _names(text: str, known: Sequence[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise BenchmarkError(f"no {what} {name!r}: it is one of {', '.join(known)}")
    return [name for name in known if name in names]


def _versions(servers: Sequence[str]) -> dict[str, dict[str, str]]:
    """Start each server once: whoever can't start is known before anything is measured."""
    found: dict[str, dict[str, str]] = {}
    for name in servers:
        with Server(name) as server:
            found[name] = server.versions
    return found


def _run_once(case: Case, server: str, repetition: int) -> Row:
    try:
        row = Row(case.name, server, repetition, case.run(server))
    except BenchmarkError as error:
        row = Row(case.name, server, repetition, {}, str(error))
    shown = ("messages_per_cpu_second", "p50_ms", "p99_ms", "busy_kept", "mutation_median_us", "idle_kb_each")
    figures = ", ".join(f"{key} {value:,.4g}" for key in shown if (value := row.figures.get(key)) is not None)
    print(
        f"{case.name} {repetition + 1}/{case.repetitions} {server}: {row.error or figures}", file=sys.stderr, flush=True
    )
    return row


def run(cases: Sequence[Case], servers: Sequence[str]) -> Iterator[Row]:
    """Run every case; within a case the servers take turns, so that a slow minute of the machine hits all of them."""
    for case in cases:
        for repetition in range(case.repetitions):
            for server in case.servers:
                if server in servers and not (repetition and server in RUN_ONCE):
                    yield _run_once(case, server, repetition)


def _write(out: Path, cases: Sequence[Case], rows: Sequence[Row], about: dict[str, str], versions: object) -> None:
    lines = report.table(rows, cases)
    figures = {"machine": about, "versions": versions, "rows": [asdict(row) for row in rows]}
    out.write_text(json.dumps(figures, indent=1) + "\n")
    text = [
        "# Results",
        "",
        "Written by `python -m benchmarks.run`; what the columns mean and do not show: [README.md](README.md).",
        "Median over the repetitions, smallest and largest in parentheses.",
        "",
        *(f"- {key}: {value}" for key, value in about.items()),
        *(f"- {server}: {_join(found)}" for server, found in _items(versions)),
        "",
        *(f"- `{case.name}`: {case.title}" for case in cases),
        "",
        report.as_markdown(lines),
        "",
    ]
    out.with_name("RESULTS.md").write_text("\n".join(text))


def _items(versions: object) -> list[tuple[str, dict[str, str]]]:
    assert isinstance(versions, dict)
    return list(versions.items())


def _join(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Measure fan-out beside its peers.")
    names = [name for name in all_cases() if name != "smoke"]
    parser.add_argument("--cases", default=",".join(names), help="comma-separated; default: all")
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, shorter windows")
    parser.add_argument(
        "--out", type=Path, help="write the figures here, and RESULTS.md beside it; default: print only"
    )
    parser.add_argument("--note", help="said beside the machine in what --out writes, such as what else ran on it")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; return the exit code: 1 when a server failed a case, 2 on a wrong argument."""
    options = _parse(arguments)
    known = all_cases(quick=options.quick)
    try:
        if options.out and not options.out.absolute().parent.is_dir():
            raise BenchmarkError(f"--out {options.out}: there is no such folder")
        cases = [known[name] for name in _names(options.cases, list(known), "case")]
        asked = _names(options.servers, SERVERS, "server")
        servers = [server for server in asked if any(server in case.servers for case in cases)]
        build()
        versions = _versions(servers)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    try:
        rows.extend(run(cases, servers))
    finally:  # what was measured before an interruption is worth showing
        print(report.as_text(report.table(rows, cases)))
        if options.out:
            about = machine.describe() | ({"note": options.note} if options.note else {})
            _write(options.out, cases, rows, about, versions)
    return 1 if any(row.error for row in rows) else 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        sys.exit(130)
