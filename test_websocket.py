"""Test the whole service with real clients on every namespace and transport.

``python test_websocket.py`` starts both servers, connects, simulates three pipelines, prints what each client received
and where to connect, then plays a demo until Ctrl+C. With ``--once`` it exits before the demo: with 0 if every client
received exactly what was emitted, with 1 if not.
"""

from __future__ import annotations

try:
    import argparse
    import contextlib
    import sys
    import threading
    import time
    from collections.abc import Callable, Sequence

    from rag_pipeline.cli.arguments import OneLineParser
    from rag_pipeline.cli.demo import DemoPipeline
    from rag_pipeline.cli.serve import addresses
    from rag_pipeline.common.config import Settings
    from rag_pipeline.common.exit import run_command
    from rag_pipeline.common.probe import reachable
    from rag_pipeline.common.stop_signals import StopSignals
    from rag_pipeline.contract.events import EVENT_NAMES, NAMESPACE_NAMES
    from rag_pipeline.errors import ExitCode
    from rag_pipeline.service import start_status_server
    from rag_pipeline.status.pipeline import PipelineStatus
    from tests.verify import Recorder, Watcher, differences
except KeyboardInterrupt:  # the libraries take a moment to load
    raise SystemExit(130) from None

PROGRAM = "test_websocket.py"
PIPELINE_TYPES = ("google_drive", "local_files", "sharepoint")
STAGES = ("extracting", "chunking", "embedding", "storing")
PAUSE_SECONDS = 0.02
LARGE_RESULT = "Grüße " * 12_000  # over 64 KiB, where WebSocket frames have a longer header

SILENCE_SECONDS = 5.0
QUIET_SECONDS = 0.3
SHOWN_DIFFERENCES = 10


def simulate(status: PipelineStatus) -> None:
    """Make every kind of report: states, and files that succeed, fail, are skipped and deleted."""
    link = "https://files.example.com/handbook"
    status.update(status="scanning", is_checking=True)
    note = {"of": "our own", "ünïcode": ["✓", None]}
    status.update(status="running", is_checking=False, files_queued=4, own={"note": note})
    with status.processing("handbook.pdf", "file-1", size=48_231, mime_type="application/pdf", link=link) as file:
        for stage in STAGES:
            for tenth in range(11):  # faster than the limit of 10 events a second
                file.stage(stage, tenth / 10)
                time.sleep(PAUSE_SECONDS / 4)
        file.set_result({"chunks": 12})
    with contextlib.suppress(ValueError), status.processing("broken.docx", "file-2") as file:
        file.stage("extracting")
        raise ValueError("this file is meant to fail")
    status.add_processing_file("broken.docx", "file-2")  # its second attempt
    status.add_processing_file("handbook.pdf", "file-3")  # another file of the same name
    status.complete_file("broken.docx", file_id="file-2")
    status.complete_file("handbook.pdf", False, file_id="file-3", error={"type": "QuotaError", "message": "full"})
    time.sleep(PAUSE_SECONDS)
    status.skip_file("movie.mp4", "no reader for video/mp4")
    status.delete_file("handbook.pdf", file_id="file-1")
    with status.processing("minutes.txt") as file:
        file.set_result({"text": LARGE_RESULT if status.pipeline_type == PIPELINE_TYPES[0] else "short"})
    status.update(status="idle", files_queued=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; an error of the package is printed as one line on stderr."""

    def run() -> int:
        options = _parse(argv)
        with StopSignals() as signals:
            return _run(options, signals)

    return run_command(PROGRAM, run, last=argv is None)


def _run(options: argparse.Namespace, signals: StopSignals) -> int:
    pipelines = [PipelineStatus(kind, f"{kind}-simulated") for kind in PIPELINE_TYPES]
    with start_status_server(options.port, pipelines=pipelines) as server:
        print(addresses(server), flush=True)
        url = f"http://{_bracketed(reachable(server.host))}:{server.socket_port}"
        differs = _check(url, pipelines)
        if options.once:
            return ExitCode.FILES_FAILED if differs else ExitCode.OK
        print("\nBoth servers go on, with a demo to watch. Press Ctrl+C to stop.", flush=True)
        _play_until_stopped(pipelines, signals)
    return ExitCode.OK


def _check(url: str, pipelines: Sequence[PipelineStatus]) -> bool:
    """Connect, simulate, compare, and print; return whether anything differs."""
    recorder = Recorder()
    for pipeline in pipelines:
        recorder.follow(pipeline)
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(url, transports)) for transports in _transport_lists()]
        _wait_for(recorder, watchers)  # for the snapshots, before anything changes
        _run_in_threads([lambda p=pipeline: simulate(p) for pipeline in pipelines])  # type: ignore[misc]
        _wait_for(recorder, watchers)
        _print_received(watchers)
        return _print_differences(recorder, watchers)


def _transport_lists() -> list[tuple[str, ...]]:
    """Return the allowed ways to connect: each transport, and the upgrade from polling to WebSocket."""
    allowed = Settings.from_env().transports
    upgrade = [("polling", "websocket")] if len(allowed) > 1 else []
    return [*((transport,) for transport in allowed), *upgrade]


def _run_in_threads(calls: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _wait_for(recorder: Recorder, watchers: Sequence[Watcher]) -> None:
    """Wait until everything emitted has arrived and nothing more comes, or until nothing has come for 5 s."""
    last, since = (0, 0), time.monotonic()
    while True:
        now = time.monotonic()
        due = len(watchers) * sum(recorder.count(ns) for ns in NAMESPACE_NAMES)
        seen = (due, sum(watcher.count(ns) for watcher in watchers for ns in NAMESPACE_NAMES))
        if seen != last:
            last, since = seen, now
        elif now - since >= (QUIET_SECONDS if seen[1] >= due else SILENCE_SECONDS):
            return
        time.sleep(PAUSE_SECONDS)


def _print_received(watchers: Sequence[Watcher]) -> None:
    short = [name.partition(":")[2].removeprefix("file_").removesuffix("_started") for name in EVENT_NAMES]
    print(f"\n{'received by':<20}{'in':<15}" + "".join(f"{name:>12}" for name in short))
    for watcher in watchers:
        for namespace in NAMESPACE_NAMES:
            counts = watcher.counts(namespace)
            print(f"{watcher.name:<20}{namespace:<15}" + "".join(f"{counts[name]:>12}" for name in EVENT_NAMES))


def _print_differences(recorder: Recorder, watchers: Sequence[Watcher]) -> bool:
    differs = False
    for namespace in NAMESPACE_NAMES:
        emitted = recorder.emitted(namespace)
        for watcher in watchers:
            found = differences(watcher.received(namespace), emitted)
            differs = differs or bool(found)
            for line in found[:SHOWN_DIFFERENCES]:
                print(f"{watcher.name} in {namespace}: {line}")
            if len(found) > SHOWN_DIFFERENCES:
                print(f"{watcher.name} in {namespace}: and {len(found) - SHOWN_DIFFERENCES} more")
    print("NOT what was emitted" if differs else "Every client received exactly what was emitted.", flush=True)
    return differs


def _play_until_stopped(pipelines: Sequence[PipelineStatus], signals: StopSignals) -> None:
    stop = threading.Event()
    demos = [DemoPipeline(pipeline) for pipeline in pipelines]
    threads = [threading.Thread(target=demo.run, args=(stop,), kwargs={"loop": True}, daemon=True) for demo in demos]
    for thread in threads:
        thread.start()
    signals.wait()
    stop.set()
    for thread in threads:
        thread.join()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog=PROGRAM, description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--port", type=int, help="port of the HTTP server, Socket.IO one above; 0 picks free ones")
    parser.add_argument("--once", action="store_true", help="end after the comparison: 0 if all is well, 1 if not")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
