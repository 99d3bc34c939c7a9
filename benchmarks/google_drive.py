"""What following a Drive folder costs: ``python -m benchmarks.google_drive [--files N] [--changes N] [--large-mb N]``.

Files in nested folders of the tests' own Drive, a share of all requests failing at random, and people who change
things all the while; the pipeline's process is killed in the middle, twice. Now and then Drive refuses everything for a
reason that is no file's, answers for some of several folders only, and leaves things out of its lists while a full pass
is made. In the end the store, the embedded one, has to be exactly what is in the folder. Extraction and embedding are
those of the tests, since they are not what is measured. Before that one large file is transferred, to see what memory
that takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from benchmarks.lib.process import BenchmarkError, JsonProcess
from rag_pipeline.common.config import RunMode
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.connect import open_source
from rag_pipeline.sources.google_drive.listing import FOLDERS_AT_ONCE
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.status.pipeline import PipelineStatus
from tests.drive import DriveServer, Generated
from tests.sources.google_drive.random_changes import RandomChanges
from tests.sources.memory_stages import DIMENSIONS, MemoryStages

MIB = 1 << 20
SCOPE = "benchmark"
KILLS = 2
FAULTS = 0.02
REFUSALS = 0.0005
"""How often a request is the first of some that are refused for a reason that is no file's."""
MISSED_FOLDERS = 0.3
"""The share of the folders in a question about several that its answer leaves out."""
HIDINGS = 10
"""How often in all a tenth of what there is is left out of the lists, and a full pass begins."""
CONTENTS = ("media", "files.export", "export_link")
RUN_SECONDS = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print tables; return the exit code."""
    parser = argparse.ArgumentParser(description="Requests, bytes and memory of following a Drive folder.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--large-mb", type=int, default=2048)
    parser.add_argument("--child", choices=("follow", "fetch"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    try:
        if options.child == "follow":
            return _follow(json.loads(sys.stdin.readline()))
        if options.child == "fetch":
            return _fetch(json.loads(sys.stdin.readline()))
        _large_file(options.large_mb * MIB)
        _many_files(options)
    except BenchmarkError as error:
        print(f"benchmarks.google_drive: {error}", file=sys.stderr)
        return 1
    return 0


# -- many files --------------------------------------------------------------------------------------------------------


def _many_files(options: argparse.Namespace) -> None:
    with DriveServer() as server, tempfile.TemporaryDirectory() as state:
        storm = RandomChanges(server, options.files, options.seed)
        storm.take_stock()
        server.faults.random(FAULTS, options.seed, refusal_rate=REFUSALS)
        server.behaviour.or_queries_miss_share = MISSED_FOLDERS
        hide_after = max(1, options.changes // HIDINGS)
        began, peak = time.monotonic(), 0
        for life in range(KILLS + 1):
            with _child("follow", server, storm.top, state) as child:
                last = life == KILLS
                changes, files = options.changes // (KILLS + 1), options.files * (life + 1) // (KILLS + 2)
                _change(storm, child, changes, files, hide_after)
                if last:
                    storm.show()
                    peak = _wait_for_rest(child, storm, Path(state))
                # At the end of the block the process is killed, wherever it is.
        _report(server, storm, time.monotonic() - began, peak)


def _change(storm: RandomChanges, child: JsonProcess, changes: int, files: int, hide_after: int) -> None:
    """Change things at an even pace until about so many files are stored; hide some after so many changes."""
    done = 0
    while True:
        stored = child.expect("event", "at", RUN_SECONDS)["stored"]
        due = min(changes, changes * stored // max(1, files))
        while done < due:
            storm.change()
            storm.take_stock()
            done += 1
            if done % hide_after == 0:
                storm.hide()
        if done >= changes:
            return


def _wait_for_rest(child: JsonProcess, storm: RandomChanges, state: Path) -> int:
    """Wait until the store is right and nothing is left to do; return the process's largest size in bytes."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        at = child.expect("event", "at", RUN_SECONDS)
        if at["idle"] and _stored(state) == storm.expected():
            peak: int = at["peak_bytes"]
            return peak
    raise BenchmarkError("the store did not become what is in the folder")


def _stored(state: Path) -> dict[str, tuple[str, list[str]]]:
    import lancedb

    store = LanceVectorStore(state / "store", "hash", DIMENSIONS)
    names = {key: file.name for key, file in store.files(SCOPE).items()}
    store.close()
    table = lancedb.connect(state / "store").open_table("chunks")
    rows = table.search().where("chunk >= 0").select(["file_id", "chunk", "text"]).limit(1 << 31).to_arrow().to_pylist()
    texts: dict[str, list[str]] = {key: [] for key in names}
    for row in sorted(rows, key=lambda row: row["chunk"]):
        texts[row["file_id"]].append(row["text"])
    return {key: (names[key], texts[key]) for key in names}


def _report(server: DriveServer, storm: RandomChanges, seconds: float, peak: int) -> None:
    asked = [request for request in server.requests if request.operation != "token"]
    good = [request for request in asked if request.fault is None]
    contents, needed, fetched_bytes, needed_bytes = _contents(server, storm)
    pages = sum(request.operation == "files.list" for request in good)
    looks = sum(request.operation == "changes.list" for request in good)
    print(
        f"\n{len(storm.expected()):,} files stored in {seconds:.0f} s, exactly those in the folder; "
        f"{server.faults.random_hits:,} requests failed, {server.faults.refusals} refusals "
        f"of everything, {KILLS} kills\n\n"
        "| | made | least possible |\n|---|---|---|\n"
        f"| contents | {contents:,} | {needed:,}: those that were new, changed, or had been gone |\n"
        f"| bytes of contents | {fetched_bytes:,} | {needed_bytes:,} |\n"
        f"| pages of listings | {pages:,} | {_fewest_pages(server, storm.top):,} for the folders as they are now |\n"
        f"| looks | {looks:,} | |\n"
        f"| all requests that were answered | {len(good):,} | |\n"
        f"| by operation, with those that failed | {server.requests.operations()} | |\n"
        f"| largest size of the process | {peak / MIB:.0f} MiB | |",
        flush=True,
    )


def _contents(server: DriveServer, storm: RandomChanges) -> tuple[int, int, int, int]:
    """Return how many contents were fetched, how many of those had to be, and the bytes of both."""
    renewed = deque(storm.renewed)
    waiting: set[str] = set()
    fetched = needed = fetched_bytes = needed_bytes = 0
    for number, request in enumerate(server.requests):
        while renewed and renewed[0][0] <= number:
            waiting.add(renewed.popleft()[1])
        if request.operation not in CONTENTS:
            continue
        fetched_bytes += request.bytes_out
        if request.fault is not None or request.status != HTTPStatus.OK:
            continue
        fetched += 1
        key = request.path.split("/")[4]
        if key in waiting:
            waiting.remove(key)
            needed += 1
            needed_bytes += request.bytes_out
    return fetched, needed, fetched_bytes, needed_bytes


def _fewest_pages(server: DriveServer, top: str) -> int:
    """Return the questions that list all folders, level by level, so many in one."""
    pages, level, seen = 0, [top], {top}
    with server.drive.lock:
        while level:
            pages += -(-len(level) // FOLDERS_AT_ONCE)
            children = [child for folder in level for child in server.drive.children(folder) if child.is_folder]
            level = [child.id for child in children if child.id not in seen and not server.drive.is_trashed(child)]
            seen.update(level)
    return pages


# -- one large file ----------------------------------------------------------------------------------------------------


def _large_file(size: int) -> None:
    with DriveServer() as server, tempfile.TemporaryDirectory() as state:
        folder = server.drive.add_folder("large")
        server.drive.add_file("large.txt", Generated(size), folder)
        with _child("fetch", server, folder, state) as child:
            done = child.expect("event", "fetched", RUN_SECONDS)
        print(
            f"\n{size / MIB:,.0f} MiB in {done['seconds']:.0f} s: the process had {done['before_bytes'] / MIB:.0f} MiB "
            f"before and {done['peak_bytes'] / MIB:.0f} MiB at most",
            flush=True,
        )


# -- the process that follows ------------------------------------------------------------------------------------------


def _child(kind: str, server: DriveServer, folder: str, state: str) -> JsonProcess:
    child = JsonProcess("pipeline", [sys.executable, "-m", "benchmarks.google_drive", "--child", kind])
    key = json.dumps(server.service_account())
    child.send(json.dumps({"url": server.url, "folder": folder, "state": state, "key": key}))
    return child


def _follow(given: Mapping[str, Any]) -> int:
    settings, state = _settings(given)
    status = PipelineStatus("google_drive", SCOPE)
    stop = threading.Event()
    test = MemoryStages()
    store = LanceVectorStore(state / "store", "hash", DIMENSIONS)
    parts = replace(test.stages, store=store)
    access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": given["key"]}, state)
    opened = open_source(settings, access, collection=SCOPE, state_dir=state, limit_bytes=MIB, stop=stop)
    with Ledger(state, SCOPE) as ledger, opened as source:
        pipeline = FollowingPipeline(
            status,
            source,
            parts,
            ledger,
            collection=SCOPE,
            mode=settings.mode,
            check_interval_seconds=settings.check_interval_seconds,
            workers=settings.workers,
        )
        threading.Thread(target=pipeline.run, args=(stop,), daemon=True).start()
        while True:
            body = status.get()
            idle = body["status"] == "idle" and not body["files_in_flight"]
            _say(event="at", stored=body.get("files_stored", 0), idle=idle, peak_bytes=_peak_bytes())
            time.sleep(1.0 if idle else 0.1)


def _fetch(given: Mapping[str, Any]) -> int:
    settings, state = _settings(given)
    access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": given["key"]}, state)
    stop = threading.Event()
    with open_source(settings, access, collection=SCOPE, state_dir=state, limit_bytes=1 << 40, stop=stop) as source:
        [file] = source.scan(lambda: None).files.values()
        before, began = _peak_bytes(), time.monotonic()
        with source.fetch(file, lambda _: None, lambda: None) as content:
            assert os.fstat(content.descriptor).st_size == file.size
            seconds = time.monotonic() - began
    _say(event="fetched", seconds=seconds, before_bytes=before, peak_bytes=_peak_bytes())
    sys.stdin.readline()
    return 0


def _settings(given: Mapping[str, Any]) -> tuple[GoogleDriveSettings, Path]:
    state = Path(given["state"])
    settings = GoogleDriveSettings(given["folder"], state, RunMode.CONTINUOUS, 2.0, workers=8, api_url=given["url"])
    return settings, state


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    sys.exit(main())
