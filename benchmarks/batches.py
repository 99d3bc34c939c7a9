"""Measures how local_files moves and deletes many files: ``python -m benchmarks.batches [--files N] [--others N]``.

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
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ingestion import _NoEmbedder
from benchmarks.lib.process import BenchmarkError, JsonProcess
from benchmarks.scale import _Reader, run_pipeline, tell, write_files


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print one line of figures; return the exit code."""
    parser = argparse.ArgumentParser(description="Moves and deletions of many files.")
    parser.add_argument("--files", type=int, default=5_000, help="files that are moved and deleted (default: 5000)")
    parser.add_argument("--others", type=int, default=1_000, help="files that stay where they are (default: 1000)")
    parser.add_argument("--folder", type=Path, help="keeps files and store, so that a copy of it need not store anew")
    parser.add_argument("--seconds", type=float, default=3600.0, help="longest time for each step")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
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
    with tempfile.TemporaryDirectory() as own:
        folder = options.folder or Path(own)
        if not (folder / "docs").is_dir():
            write_files(folder / "docs" / "old", options.files, "txt")
            write_files(folder / "docs" / "others", options.others, "txt", first=options.files)
        command = [sys.executable, "-m", "benchmarks.batches", "--child", "--folder", str(folder)]
        command += ["--files", str(options.files), "--others", str(options.others), "--seconds", str(options.seconds)]
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
    from rag_pipeline import PipelineStatus
    from rag_pipeline.ingest.settings import IngestSettings
    from rag_pipeline.sources.following.deletion_brake import BrakeSettings
    from rag_pipeline.sources.local_files.settings import LocalFilesSettings
    from rag_pipeline.sources.stages import build_stages

    status, stop = PipelineStatus("local_files", "benchmark"), threading.Event()
    docs, state = options.folder / "docs", options.folder / "state"
    state.mkdir(exist_ok=True)
    settings = LocalFilesSettings(str(docs.resolve()), state, settle_seconds=0.0, brake=BrakeSettings(max_percent=100))
    parts = build_stages(IngestSettings.from_env({}), state / "store", workers=settings.workers, stop=stop)
    store = _CountingStore(parts.store)
    parts = replace(parts, extractor=_Reader(), embedder=_NoEmbedder(), store=store)
    tell(run_pipeline(status, settings, parts, stop, lambda: _steps(status, store, docs, options)))
    return 0


def _steps(status: Any, store: _CountingStore, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from rag_pipeline.status.pipeline import core_of

    count = options.files
    found: dict[str, Any] = {"files": count, "others": options.others}

    def timed(name: str, act: Callable[[], object], is_done: Callable[[Any], bool]) -> None:
        commits, began, cpu = store.commits, time.monotonic(), time.process_time()
        act()
        pause = threading.Event()
        while not is_done(core_of(status).snapshot().attempts):
            if time.monotonic() > began + options.seconds:
                raise BenchmarkError(f"{name} took longer than {options.seconds:g} seconds")
            pause.wait(0.01)
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
        found[name] = {"s": round(seconds, 2), "cpu_s": round(cpu_seconds, 2), "commits": store.commits - commits}
        print(name, found[name], file=sys.stderr, flush=True)

    def is_stored(_: Any) -> bool:
        state = status.get()
        return bool(state["status"] == "idle" and state.get("files_stored") == count + options.others)

    timed("stored", lambda: None, is_stored)
    before = core_of(status).snapshot().attempts
    processed, deleted = before.total_processed + count, before.total_deleted + count

    def is_moved(now: Any) -> bool:
        return (now.total_processed, now.total_deleted) == (processed, deleted)

    timed("renamed", lambda: (folder / "old").rename(folder / "new"), is_moved)
    timed("deleted", lambda: shutil.rmtree(folder / "new"), lambda now: now.total_deleted == deleted + count)
    return found


if __name__ == "__main__":
    sys.exit(main())
