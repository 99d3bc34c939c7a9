"""What moving and deleting many files costs local_files: ``python -m benchmarks.batches [--files N] [--others N]``.

In a new process, with the service on, the store on disk and an embedder that costs nothing: stores the files, renames
their folder, and deletes it. Prints the seconds from each until the status shows the last file, and the commits.
"""

from __future__ import annotations

import argparse
import json
import shutil
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
from benchmarks.scale import _Reader, write_files


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print one line of figures; return the exit code."""
    parser = argparse.ArgumentParser(description="Moves and deletions of many files.")
    parser.add_argument("--files", type=int, default=5_000, help="files that are moved and deleted (default: 5000)")
    parser.add_argument("--others", type=int, default=1_000, help="files that stay where they are (default: 1000)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="longest time for each step")
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return _child(options)
    try:
        print(json.dumps(_measure(options)))
    except BenchmarkError as error:
        print(f"benchmarks.batches: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder) / "old", options.files, "txt")
        write_files(Path(folder) / "others", options.others, "txt", first=options.files)
        command = [sys.executable, "-m", "benchmarks.batches", "--child", folder, "--seconds", str(options.seconds)]
        command += ["--files", str(options.files), "--others", str(options.others)]
        with JsonProcess("pipeline", command) as child:
            return child.expect("event", "done", 4 * options.seconds)


class _CountingStore:
    """Passes everything on, and counts the calls that write."""

    def __init__(self, store: Any) -> None:
        self.commits = 0
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in ("replace", "rename", "move", "move_many", "copy", "copy_many", "delete", "delete_many"):
            self.commits += 1
        return getattr(self._store, name)


def _child(options: argparse.Namespace) -> int:
    from rag_pipeline import PipelineStatus, start_status_server
    from rag_pipeline.ingest.settings import IngestSettings
    from rag_pipeline.pipelines.following.deletion_brake import BrakeSettings
    from rag_pipeline.pipelines.ledger import Ledger
    from rag_pipeline.pipelines.local_files.pipeline import LocalFilesPipeline
    from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
    from rag_pipeline.pipelines.stages import build_parts

    status, stop = PipelineStatus("local_files"), threading.Event()
    with tempfile.TemporaryDirectory() as state:
        settings = LocalFilesSettings(
            options.child, Path(state), settle_seconds=0.0, brake=BrakeSettings(max_percent=100)
        )
        parts = build_parts(IngestSettings.from_env({}), Path(state) / "store", workers=settings.workers, stop=stop)
        store = _CountingStore(parts.store)
        with (
            closing(replace(parts, extractor=_Reader(), embedder=_NoEmbedder(), store=store)) as parts,
            start_status_server(0, pipelines=[status], state_dir=state),
            Ledger(Path(state), "benchmark") as ledger,
        ):
            pipeline = LocalFilesPipeline(status, settings, parts, ledger, scope="benchmark")
            thread = threading.Thread(target=pipeline.run, args=(stop,))
            thread.start()
            try:
                found = _steps(status, store, Path(options.child), options)
            finally:
                stop.set()
                thread.join()
    print(json.dumps({"event": "done", **found}), flush=True)
    sys.stdin.readline()
    return 0


def _steps(status: Any, store: _CountingStore, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from rag_pipeline.status import core_of

    count = options.files
    found: dict[str, Any] = {"files": count, "others": options.others}

    def timed(name: str, act: Callable[[], object], completed: int, deleted: int) -> None:
        commits, began, cpu = store.commits, time.monotonic(), time.process_time()
        act()
        while time.monotonic() < began + options.seconds:
            body = core_of(status).snapshot()
            if (body.attempts.total_processed, body.attempts.total_deleted) == (completed, deleted):
                break
            time.sleep(0.01)
        else:
            raise BenchmarkError(f"{name} took longer than {options.seconds:g} seconds")
        found[name] = {
            "seconds": round(time.monotonic() - began, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "commits": store.commits - commits,
        }
        print(name, found[name], file=sys.stderr, flush=True)

    stored = count + options.others
    timed("stored", lambda: None, stored, 0)
    timed("renamed", lambda: (folder / "old").rename(folder / "new"), stored + count, count)
    timed("deleted", lambda: shutil.rmtree(folder / "new"), stored + count, 2 * count)
    return found


if __name__ == "__main__":
    sys.exit(main())
