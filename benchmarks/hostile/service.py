"""The service under attack: a pipeline that opens and reports 200 files a second, and times each of its calls.

Prints one line when it accepts connections (``{"ready": true, "http_port": …, "socket_port": …}``), then obeys one
command a line and answers each with one line:

| command | answer |
|---|---|
| ``{"cmd": "fill", "count": n}`` | when so many further files are in the journal |
| ``{"cmd": "begin"}`` | forgets what was measured so far |
| ``{"cmd": "read"}`` | what was measured since: see :meth:`Reporter.figures` |
| ``{"cmd": "marks"}`` | from now on files have names of 32,000 combining marks too, and texts of these are indexed |
| ``{"cmd": "pause"}`` | when the pipeline reports no more |
| ``{"cmd": "stop"}`` | how many seconds the service took to stop |
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.servers.common import pauses, say
from rag_pipeline import PipelineStatus, start_status_server

FILES_PER_SECOND = 200.0
OPENED_AT_ONCE = 16
"""Files that the pipeline opens for each file it reports, as a store and a reader would."""
MARKS = 32_000
MARKS_PAUSE_SECONDS = 0.25
DRAIN_SECONDS = 120.0
BATCH = 1000


class Reporter:
    """Reports files from threads of its own, as a pipeline does."""

    def __init__(self, status: PipelineStatus) -> None:
        self._status = status
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.begin()

    def begin(self) -> None:
        """Forget what was measured."""
        with self._lock:
            self._calls: list[int] = []
            self._unopened = self._files = self._texts = 0
            self._slowest_text = 0.0
            self._since = time.monotonic()

    def figures(self) -> dict[str, Any]:
        """Return the calls' nanoseconds, files reported a second, files that could not be opened, and slowest text."""
        with self._lock:
            return {
                "ok": True,
                "calls_ns": self._calls,
                "files_per_second": self._files / (time.monotonic() - self._since),
                "unopened": self._unopened,
                "texts": self._texts,
                "slowest_text_seconds": self._slowest_text,
            }

    def start(self, *, marks: bool = False) -> None:
        """Report files until :meth:`stop`."""
        work = self._report_marks if marks else self._report
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def fill(self, count: int) -> None:
        """Report so many files at once, never more than the journal takes."""
        for number in range(count):
            self._status.skip_file(f"archive/{number // 1000:03}/report-{number:06}.pdf", "it is of no use")
            if number % BATCH == 0:
                self._stop.wait(0.02)  # the hand-over drops what is too much at once

    def _report(self) -> None:
        for number, wait in enumerate(pauses(1 << 40, FILES_PER_SECOND)):
            if self._stop.wait(wait):
                return
            self._one(f"document-{number}.pdf", str(number))

    def _one(self, name: str, file_id: str) -> None:
        began = time.perf_counter_ns()
        self._status.add_processing_file(name, file_id, link=f"@t={time.monotonic_ns()}")
        started = time.perf_counter_ns()
        unopened = _unopened()
        opened = time.perf_counter_ns()
        self._status.complete_file(name, file_id=file_id)
        ended = time.perf_counter_ns()
        with self._lock:
            self._calls += (started - began, ended - opened)
            self._unopened += unopened
            self._files += 1

    def _report_marks(self) -> None:
        from rag_pipeline.ingest.terms.analyzer import DEFAULT_ANALYZER

        for number in range(1 << 40):
            if self._stop.wait(MARKS_PAUSE_SECONDS):
                return
            marks = f"{number} a" + "\u0301\u0323" * (MARKS // 2)
            self._status.skip_file(marks, marks, file_id=f"marks-{number}")
            began = time.monotonic()
            DEFAULT_ANALYZER.index_terms(marks)
            with self._lock:
                self._texts += 1
                self._slowest_text = max(self._slowest_text, time.monotonic() - began)


def _unopened() -> int:
    """Return how many of some files could not be opened at once."""
    with ExitStack() as stack:
        for number in range(OPENED_AT_ONCE):
            try:
                descriptor = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return OPENED_AT_ONCE - number
            stack.callback(os.close, descriptor)
    return 0


def main() -> None:
    """Serve until the runner says stop, or its end of stdin."""
    limit = int(sys.argv[1])
    if limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    status = PipelineStatus("local_files", "attacked")
    with (
        tempfile.TemporaryDirectory(prefix="rag-pipeline-hostile-") as folder,
        start_status_server(0, host="127.0.0.1", pipelines=[status], state_dir=folder) as server,
    ):
        reporter = Reporter(status)
        say({"ready": True, "http_port": server.http_port, "socket_port": server.socket_port})
        for line in sys.stdin:
            command = json.loads(line)
            match command["cmd"]:
                case "fill":
                    reporter.fill(command["count"])
                    say({"ok": True})
                case "start":
                    reporter.start()
                    say({"ok": True})
                case "marks":
                    reporter.start(marks=True)
                    say({"ok": True})
                case "begin":
                    reporter.begin()
                    say({"ok": True})
                case "read":
                    say(reporter.figures())
                case "pause":
                    reporter.stop()
                    say({"ok": True})
                case "stop":
                    began = time.monotonic()
                    server.stop()
                    say({"ok": True, "seconds": time.monotonic() - began})
                    break
        reporter.stop()


if __name__ == "__main__":
    main()
