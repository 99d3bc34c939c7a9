"""What readers find in files, and in what time: ``python -m benchmarks.extraction [FOLDER] [--out FILE]``.

Each library reads each file of the folder that it knows, in a process of its own, file by file in turns. Its text is
compared with the truth beside the file (``NAME.truth.txt``, see ``benchmarks/lib/text_truth.py``). Without a folder,
the files are those of ``tests/corpus``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from benchmarks.lib.extraction_peers import PEERS, Peer
from benchmarks.lib.process import BenchmarkError, JsonProcess
from benchmarks.lib.text_scores import TextScores, score
from benchmarks.lib.text_truth import Truth, read_folder

CORPUS = Path(__file__).parents[1] / "tests" / "corpus" / "files"
START_SECONDS, FILE_SECONDS = 60.0, 150.0
_COLUMNS = ("kind", "files", "reader", "read", "recall", "precision", "order", "rows", "ms per file")


@dataclass(frozen=True, slots=True)
class Result:
    """What a reader found in one file; a file that it could not read has scores of 0 and the reason."""

    reader: str
    kind: str
    file: str
    scores: TextScores
    milliseconds: float
    error: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table; return the exit code."""
    parser = argparse.ArgumentParser(description="Recall, precision, order and rows of extracted text, and the time.")
    parser.add_argument("folder", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--peers", default="", help="comma-separated names; default: all that are installed")
    parser.add_argument("--repetitions", type=int, default=3, help="the time is the median of so many readings")
    parser.add_argument(
        "--out", type=Path, help="write the table to this file, and each file's scores beside it as .json"
    )
    parser.add_argument("--child", metavar="READER", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return _child(options.child)
    truths = read_folder(options.folder)
    if not truths:
        print(f"benchmarks.extraction: no file with a truth in {options.folder}", file=sys.stderr)
        return 1
    names = set(filter(None, options.peers.split(",")))
    peers = [peer for peer in PEERS if not names or peer.name in names]
    results, left_out = measure(truths, peers, options.repetitions)
    text = "\n".join([table(results), "", *left_out]).rstrip() + "\n"
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
        options.out.with_suffix(".json").write_text(_as_json(results), encoding="utf-8")
    return 0


def measure(
    truths: Mapping[Path, Truth], peers: Sequence[Peer], repetitions: int = 1
) -> tuple[list[Result], list[str]]:
    """Read each file with each peer that knows its suffix, in turns; also return why peers are left out."""
    results: list[Result] = []
    left_out: list[str] = []
    with ExitStack() as stack:
        readers: dict[str, _Reader] = {}
        for peer in peers:
            reader = stack.enter_context(_Reader(peer.name))
            if not peer.is_installed:
                left_out.append(f"not installed: {peer.name}")
            elif reason := reader.start():
                left_out.append(f"does not start: {peer.name} ({reason})")
            else:
                readers[peer.name] = reader
        for path, truth in truths.items():
            able = [peer for peer in peers if peer.name in readers and path.suffix.lower() in peer.suffixes]
            results += [_measure_file(readers[peer.name], path, truth, repetitions) for peer in able]
    return results, left_out


def _measure_file(reader: _Reader, path: Path, truth: Truth, repetitions: int) -> Result:
    answers = [reader.read(path) for _ in range(repetitions)]
    text, error = answers[0][0], answers[0][2]
    milliseconds = median(seconds for _, seconds, _ in answers) * 1000
    scores = TextScores(0.0, 0.0, 0.0, 0.0 if truth.rows else None) if error else score(text, truth)
    return Result(reader.name, kind_of(path), path.name, scores, milliseconds, error)


def kind_of(path: Path) -> str:
    """Return the kind under which a file is counted; articles have boilerplate around them, other pages have none."""
    suffix = path.suffix.lower().removeprefix(".")
    return f"{suffix} (article)" if suffix == "html" and path.name.startswith("article") else suffix


class _Reader:
    """A reader in a process of its own, started again if it ends or hangs; a context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: JsonProcess | None = None

    def start(self) -> str:
        """Start the process; return the reason if it does not start."""
        try:
            self._started()
        except BenchmarkError as error:
            self.close()
            return str(error)
        return ""

    def read(self, path: Path) -> tuple[str, float, str]:
        """Return the text, the seconds it took, and the reason if there is no text."""
        try:
            process = self._started()
            process.send(json.dumps(str(path.absolute())))
            answer = process.receive(FILE_SECONDS)
        except BenchmarkError as error:
            self.close()
            return "", 0.0, f"crashed: {error}"
        if answer is None:
            self.close()
            return "", FILE_SECONDS, "hung"
        return answer["text"], answer["seconds"], answer["error"]

    def _started(self) -> JsonProcess:
        if self._process is None:
            command = [sys.executable, "-m", "benchmarks.extraction", "--child", self.name]
            self._process = JsonProcess(self.name, command)
            self._process.expect("event", "ready", START_SECONDS)
        return self._process

    def close(self) -> None:
        """End the process; idempotent."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def table(results: Iterable[Result]) -> str:
    """Return a table in Markdown: means by kind and reader; of files that could not be read, the scores are 0."""
    groups: defaultdict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.kind, result.reader].append(result)
    order = [peer.name for peer in PEERS]
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for kind, reader in sorted(groups, key=lambda key: (key[0], order.index(key[1]))):
        found = groups[kind, reader]
        rows = [result.scores.rows for result in found if result.scores.rows is not None]
        cells = [
            kind,
            str(len(found)),
            reader,
            str(sum(not result.error for result in found)),
            *(
                f"{fmean(getattr(result.scores, name) for result in found):.3f}"
                for name in ("recall", "precision", "order")
            ),
            f"{fmean(rows):.3f}" if rows else "–",
            f"{fmean(result.milliseconds for result in found):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _as_json(results: Iterable[Result]) -> str:
    rows = [
        {
            "file": result.file,
            "reader": result.reader,
            "recall": round(result.scores.recall, 4),
            "precision": round(result.scores.precision, 4),
            "order": round(result.scores.order, 4),
            "rows": result.scores.rows,
            "milliseconds": round(result.milliseconds, 2),
            "error": result.error,
            "missing": result.scores.missing[:20],
            "surplus": result.scores.surplus[:20],
        }
        for result in results
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _child(name: str) -> int:
    """Read the files that are named on standard input, one a line."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    read = next(peer for peer in PEERS if peer.name == name).load()
    print(json.dumps({"event": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        path = Path(json.loads(line))
        text = error = ""
        began = time.perf_counter()
        try:
            text = read(path)
        except Exception as fault:  # noqa: BLE001 - libraries raise anything
            error = f"{type(fault).__name__}: {fault}"[:300]
        seconds = time.perf_counter() - began
        text = text.encode("utf-8", "replace").decode()
        print(json.dumps({"text": text, "seconds": seconds, "error": error}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
