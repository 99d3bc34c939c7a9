"""What the status costs the pipeline: ``python -m benchmarks.ingestion [--files N] [--clients N] [--repetitions N]``.

Files per second through local_files, with the service on and clients watching in a process of their own, against the
service off. Runs take turns, off on off on, each in a new process over the same folder with a new state folder. Once
with the real stages, and once with an embedder that costs nothing, where the share of the status is largest.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.lib.client import CountingClient, Crowd
from benchmarks.lib.process import BenchmarkError, JsonProcess

EMBEDDERS = ("none", "real")
RUN_SECONDS = 600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print a table; return the exit code."""
    parser = argparse.ArgumentParser(description="Files per second with the service on against off.")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--embedder", choices=EMBEDDERS, action="append", help="default: both")
    parser.add_argument("--child", nargs=3, metavar=("FOLDER", "EMBEDDER", "SERVICE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return _child(*options.child)
    print("| embedder | turn | off, files/s | on, files/s | on ÷ off |\n|---|---|---|---|---|")
    try:
        with tempfile.TemporaryDirectory() as folder:
            _write_files(Path(folder), options.files)
            for embedder in options.embedder or EMBEDDERS:
                ratios = [_turn(folder, embedder, number, options) for number in range(1, options.repetitions + 1)]
                print(f"| {embedder} | median | | | {median(ratios):.3f} |", flush=True)
    except BenchmarkError as error:
        print(f"benchmarks.ingestion: {error}", file=sys.stderr)
        return 1
    return 0


def _turn(folder: str, embedder: str, number: int, options: argparse.Namespace) -> float:
    rates = [options.files / _measure(folder, embedder, clients) for clients in (None, options.clients)]
    print(f"| {embedder} | {number} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[1] / rates[0]:.3f} |", flush=True)
    ratio: float = rates[1] / rates[0]
    return ratio


def _measure(folder: str, embedder: str, clients: int | None) -> float:
    """Return the seconds one pass takes; without ``clients`` there is no service."""
    service = "off" if clients is None else "on"
    command = [sys.executable, "-m", "benchmarks.ingestion", "--child", folder, embedder, service]
    with ExitStack() as stack:
        child = stack.enter_context(JsonProcess("pipeline", command))
        ready = child.expect("event", "ready", 60)
        if clients is not None:
            crowd = stack.enter_context(CountingClient(ready["port"], Crowd(websocket=clients)))
            crowd.wait_ready(60)
        child.send("go")
        seconds: float = child.expect("event", "done", RUN_SECONDS)["seconds"]
        return seconds


def _child(folder: str, embedder: str, service: str) -> int:
    from rag_pipeline import PipelineStatus, start_status_server
    from rag_pipeline.common.config import RunMode
    from rag_pipeline.ingest.settings import IngestSettings
    from rag_pipeline.sources.ledger import Ledger
    from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline
    from rag_pipeline.sources.local_files.settings import LocalFilesSettings
    from rag_pipeline.sources.stages import build_stages
    from rag_pipeline.status.pipeline import core_of

    status = PipelineStatus("local_files")
    with tempfile.TemporaryDirectory() as state:
        settings = LocalFilesSettings(folder, Path(state), RunMode.SINGLE, settle_seconds=0.0)
        server = start_status_server(0, pipelines=[status]) if service == "on" else nullcontext()
        with server as running, Ledger(Path(state), "benchmark") as ledger:
            stop = threading.Event()
            store = Path(state) / "store"
            parts = build_stages(IngestSettings.from_env({}), store, workers=settings.workers, stop=stop)
            if embedder == "none":
                parts = replace(parts, embedder=_NoEmbedder())
            _warm_up(parts, folder)
            _say(event="ready", port=None if running is None else running.socket_port)
            sys.stdin.readline()
            began = time.monotonic()
            LocalFilesPipeline(status, settings, parts, ledger, collection="benchmark").run(stop)
            seconds = time.monotonic() - began
            totals = core_of(status).snapshot().totals
            parts.close()
        _say(event="done", seconds=seconds, processed=totals.total_processed, failed=totals.total_failed)
    sys.stdin.readline()
    return 0


class _NoEmbedder:
    """The same vector for every text, at no cost."""

    model_id = "all-MiniLM-L6-v2"
    dimensions = 384

    def embed(self, texts: Sequence[str], *, as_questions: bool = False, on_progress: Any = None) -> Any:  # noqa: ARG002
        import numpy as np

        if on_progress is not None:
            on_progress(1.0)
        return np.full((len(texts), self.dimensions), self.dimensions**-0.5, np.float32)

    def close(self) -> None:
        """Nothing to give back."""


def _warm_up(parts: Any, folder: str) -> None:
    """Start the worker process and load the model, so that neither is measured."""
    first = next(Path(folder).iterdir())
    parts.embedder.embed([chunk.text for chunk in parts.chunker.chunk(parts.extractor.extract(str(first)))])


def _write_files(folder: Path, count: int) -> None:
    for number in range(count):
        words = " ".join(f"word{(number * 31 + i * 7) % 997}" for i in range(60))
        (folder / f"{number:04}.txt").write_text(f"Document {number}.\n\n{words}\n")


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    sys.exit(main())
