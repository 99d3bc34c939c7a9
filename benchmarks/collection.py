"""Read any folder of files: ``python -m benchmarks.collection FOLDER… [--out FILE] [--list OUTCOME]``.

For each kind of file: how many were read, with warnings, empty, encrypted, unsupported, damaged, over a limit, crashed
or hung; the time and the worker's largest address space. Files of public collections show what made-up ones don't.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rag_pipeline.errors import ExtractionError
from rag_pipeline.ingest.extract import ProcessExtractor

_SLOW_SECONDS = 20.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one file: ``read``, ``read with warnings``, or the name of the error."""

    path: str
    kind: str
    outcome: str
    seconds: float
    memory_bytes: int
    characters: int
    detail: str


def main(argv: Sequence[str] | None = None) -> int:
    """Read the files and print a table; exit code 1 if a file crashed the worker or raised an unexpected error."""
    parser = argparse.ArgumentParser(description="Outcomes, time and memory of reading any files.")
    parser.add_argument("folder", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="write each file's outcome to this file, one JSON object a line")
    parser.add_argument("--list", action="append", default=[], metavar="OUTCOME", help="name the files of an outcome")
    parser.add_argument("--limit", type=int, default=0, help="read only so many files of each kind")
    options = parser.parse_args(argv)
    outcomes = []
    memory = _PeakMemory()
    with ProcessExtractor() as extractor:
        for path in _files(options.folder, options.limit):
            outcome = read(extractor, path, memory)
            outcomes.append(outcome)
            if outcome.outcome in options.list or outcome.outcome in _FAULTS or outcome.seconds > _SLOW_SECONDS:
                print(
                    f"{outcome.outcome}: {path} ({outcome.seconds:.1f} s) {outcome.detail}", file=sys.stderr, flush=True
                )
    print(table(outcomes))
    if options.out:
        lines = (json.dumps(asdict(outcome), ensure_ascii=False) for outcome in outcomes)
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(any(outcome.outcome in _FAULTS for outcome in outcomes))


def _files(folders: Iterable[Path], limit: int) -> Iterator[Path]:
    counts: Counter[str] = Counter()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
                counts[path.suffix.lower()] += 1
                if not limit or counts[path.suffix.lower()] <= limit:
                    yield path


_FAULTS = ("crashed", "unexpected error")


def read(extractor: ProcessExtractor, path: Path, memory: _PeakMemory) -> Outcome:
    """Read one file, and watch the worker's address space."""
    began = time.perf_counter()
    characters, detail = 0, ""
    memory.new_file()
    try:
        document = extractor.extract(str(path), on_progress=memory.watch)
    except ExtractionError as error:
        detail = str(error)
        outcome = "crashed" if "crashed the process" in detail else type(error).__name__
    except OSError as error:
        outcome, detail = "unexpected error", repr(error)
    except Exception as error:  # noqa: BLE001 - whatever is raised is to be reported
        outcome, detail = "unexpected error", repr(error)
    else:
        outcome = "read with warnings" if document.warnings else "read"
        characters = document.quality.characters
        detail = "; ".join(warning.message for warning in document.warnings)
    seconds = time.perf_counter() - began
    memory.watch()
    kind = path.suffix.lower().removeprefix(".") or "(none)"
    return Outcome(str(path), kind, outcome, round(seconds, 3), memory.grown_to, characters, detail[:300])


class _PeakMemory:
    """Watches the peaks of the workers' address spaces; a worker reads many files, and its peak never falls."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}
        self.grown_to = 0

    def new_file(self) -> None:
        """Forget what the files before have needed."""
        self.grown_to = 0

    def watch(self, _: float = 0.0) -> None:
        """Look at each worker; ``grown_to`` is the highest peak that this file raised, 0 if it raised none."""
        for process in _children():
            peak = _peak_of(process)
            if peak > self._peaks.get(process, 0):
                self._peaks[process] = peak
                self.grown_to = max(self.grown_to, peak)


def _children() -> list[str]:
    found = []
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        try:
            found += (task / "children").read_text().split()
        except OSError:
            continue  # the thread ended meanwhile
    return found


def _peak_of(process: str) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0  # it ended meanwhile
    line = next((line for line in status.splitlines() if line.startswith("VmPeak")), "VmPeak: 0 kB")
    return int(line.split()[1]) << 10


def table(outcomes: Iterable[Outcome]) -> str:
    """Return a table in Markdown: the outcomes by kind, the median and longest time, the largest address space."""
    kinds: defaultdict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        kinds[outcome.kind].append(outcome)
    lines = ["| kind | files | outcomes | median ms | longest s | MiB |", "|---|---|---|---|---|---|"]
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        counts = Counter(outcome.outcome for outcome in found)
        named = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        times = [outcome.seconds for outcome in found]
        peak = max(outcome.memory_bytes for outcome in found) / _MIB
        lines.append(
            f"| {kind} | {len(found)} | {named} | {median(times) * 1000:.0f} | {max(times):.1f} | {peak:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
