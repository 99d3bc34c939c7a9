"""What many files cost local_files: ``python -m benchmarks.scale [--files N,N] [--quick] [--kind text|skipped]``.

For each number of tiny files, in a new process with the service on: CPU and time for each file, over all and over the
last fifth; CPU a minute once it is idle; resident memory and open descriptors. The embedder costs nothing. ``--quick``
also extracts and stores in memory, so that what the pipeline itself costs is left. Ends by itself: each number has its
time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ingestion import _NoEmbedder
from benchmarks.lib.process import BenchmarkError, JsonProcess

SIZES = (1_000, 5_000, 20_000)
QUICK_SIZES = (1_000, 5_000, 20_000, 100_000)
KINDS = {"text": "txt", "skipped": "unknown"}
START_SECONDS = 120.0
CALM_SECONDS = 5.0  # between the work and the idle time: the journal and the store come to rest
POLL_SECONDS = 0.25  # a snapshot counts the files of the last minutes: 50 a second took 1.7 ms of CPU a file
_HEAD = (
    "| files | done | CPU ms/file | of the last fifth | files/s | of the last fifth | idle CPU s/min | RSS MB "
    "| descriptors |"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table; return the exit code."""
    parser = argparse.ArgumentParser(description="CPU, speed and memory of local_files by the number of files.")
    parser.add_argument("--files", type=_sizes, help="default: 1000,5000,20000, with --quick also 100000")
    parser.add_argument("--quick", action="store_true", help="extract and store in memory; idle for 20 seconds")
    parser.add_argument("--kind", choices=KINDS, default="text", help="skipped: files of a type that is not read")
    parser.add_argument("--idle-seconds", type=float, help="default: 60, with --quick 20")
    parser.add_argument("--seconds", type=float, default=1200.0, help="longest time for the work on one number")
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.idle_seconds = options.idle_seconds or (20.0 if options.quick else 60.0)
    if options.child:
        return _child(options)
    print(f"{_HEAD}\n|---|---|---|---|---|---|---|---|---|")
    try:
        for size in options.files or (QUICK_SIZES if options.quick else SIZES):
            print(_row(size, _measure(size, options)), flush=True)
    except BenchmarkError as error:
        print(f"benchmarks.scale: {error}", file=sys.stderr)
        return 1
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(","))


def _row(size: int, found: dict[str, Any]) -> str:
    idle = f"{found['idle_cpu']:.2f}" if found["files"] == size else "–"  # its time was over, and it works on
    return (
        f"| {size:,} | {found['files']:,} | {found['cpu_ms']:.2f} | {found['last_cpu_ms']:.2f} "
        f"| {found['rate']:.0f} | {found['last_rate']:.0f} | {idle} | {found['rss_mb']:.0f} "
        f"| {found['descriptors']} |"
    )


def _measure(size: int, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), size, KINDS[options.kind])
        command = [sys.executable, "-m", "benchmarks.scale", "--child", folder, "--files", str(size)]
        command += ["--idle-seconds", str(options.idle_seconds), "--seconds", str(options.seconds)]
        with JsonProcess("pipeline", command + ["--quick"] * options.quick) as child:
            limit = START_SECONDS + options.seconds + CALM_SECONDS + options.idle_seconds
            return child.expect("event", "done", limit)


def write_files(folder: Path, count: int, ending: str, *, first: int = 0) -> None:
    """Write tiny files, a thousand to a subfolder; each number from ``first`` on has a text of its own."""
    for number in range(first, first + count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Document {number}.\n\nword{(number * 31) % 997} word{number % 89}\n")


def _child(options: argparse.Namespace) -> int:
    from rag_pipeline import PipelineStatus
    from rag_pipeline.sources.local_files.settings import LocalFilesSettings

    (size,) = options.files
    status, stop = PipelineStatus("local_files"), threading.Event()
    with tempfile.TemporaryDirectory() as state:
        settings = LocalFilesSettings(options.child, Path(state), settle_seconds=0.0)
        parts = _stages(Path(state), settings.workers, stop, in_memory=options.quick)
        found = run_pipeline(status, settings, parts, stop, lambda: _watch(status, size, options))
    tell(found)
    return 0


def run_pipeline(
    status: Any, settings: Any, parts: Any, stop: threading.Event, work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Run local_files, with the service on, while ``work`` lasts; return what that returns. Closes ``parts``."""
    from rag_pipeline import start_status_server
    from rag_pipeline.sources.ledger import Ledger
    from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline

    with (
        closing(parts),
        start_status_server(0, pipelines=[status], state_dir=settings.state_dir),
        Ledger(settings.state_dir, "benchmark") as ledger,
    ):
        pipeline = LocalFilesPipeline(status, settings, parts, ledger, collection="benchmark")
        thread = threading.Thread(target=pipeline.run, args=(stop,))
        thread.start()
        try:
            return work()
        finally:
            stop.set()
            thread.join()


def tell(found: dict[str, Any]) -> None:
    """Give the figures to the process that waits for them, and stay until it has them."""
    print(json.dumps({"event": "done", **found}), flush=True)
    sys.stdin.readline()


def _stages(state: Path, workers: int, stop: threading.Event, *, in_memory: bool) -> Any:
    from rag_pipeline.ingest.settings import IngestSettings
    from rag_pipeline.sources.stages import build_stages

    parts = build_stages(IngestSettings.from_env({}), state / "store", workers=workers, stop=stop)
    if not in_memory:
        return replace(parts, embedder=_NoEmbedder())
    parts.close()
    return replace(parts, extractor=_Reader(), embedder=_NoEmbedder(), store=_Nowhere())


class _Reader:
    """Reads text in this process."""

    def extract(self, path: str, *, on_progress: Any = None, descriptor: int | None = None) -> Any:  # noqa: ARG002
        from rag_pipeline.errors import UnsupportedFileTypeError
        from rag_pipeline.ingest.types import ExtractedDocument, Section

        if not path.endswith(".txt"):
            raise UnsupportedFileTypeError(f"{os.path.basename(path)} is of an unknown type")  # noqa: PTH119
        return ExtractedDocument((Section(Path(path).read_text(), ""),), "text/plain")

    def close(self) -> None:
        """Nothing to give back."""


class _Nowhere:
    """A store that keeps nothing."""

    def replace(self, *_: object) -> None:
        """Forget it."""

    rename = delete = delete_many = replace

    def move(self, *_: object) -> bool:
        return False

    def move_many(self, *_: object) -> dict[str, int]:
        return {}

    def copy(self, *_: object) -> int | None:
        return None

    def copy_many(self, *_: object) -> dict[str, int]:
        return {}

    def file(self, *_: str) -> None:
        return None

    def files(self, _: str) -> dict[str, Any]:
        return {}

    def search(self, *_: object, **__: object) -> list[Any]:
        return []

    def close(self) -> None:
        """Nothing to give back."""


def _watch(status: Any, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Wait for the work and for the idle time; return what they cost."""
    from rag_pipeline.status.pipeline import core_of

    def done() -> int:
        totals = core_of(status).snapshot().totals
        return totals.total_processed + totals.total_failed + totals.total_skipped

    pause = threading.Event()
    marks = [(0, time.process_time(), time.monotonic())]
    deadline = marks[0][2] + options.seconds
    while (files := done()) < size and time.monotonic() < deadline:
        if files >= (len(marks) * size) // 5:
            marks.append((files, time.process_time(), time.monotonic()))
        pause.wait(POLL_SECONDS)
    marks.append((files, time.process_time(), time.monotonic()))
    pause.wait(CALM_SECONDS)
    cpu, began = time.process_time(), time.monotonic()
    pause.wait(options.idle_seconds)
    idle = (time.process_time() - cpu) * 60 / (time.monotonic() - began)
    (n0, c0, t0), (n1, c1, t1), (n2, c2, t2) = marks[0], marks[-2], marks[-1]
    return {
        "files": n2,
        "cpu_ms": 1000 * (c2 - c0) / max(1, n2 - n0),
        "last_cpu_ms": 1000 * (c2 - c1) / max(1, n2 - n1),
        "rate": (n2 - n0) / (t2 - t0),
        "last_rate": (n2 - n1) / (t2 - t1),
        "idle_cpu": idle,
        "rss_mb": _resident_bytes() / 1e6,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names are enough
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
