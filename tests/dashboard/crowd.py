"""Many pipelines on one service, in a process of their own.

Arguments: the number of pipelines, files in flight in each, file events per second of each. Prints ``port <number>``.
Each line of input is a number of seconds: the pipelines work for that long, then ``did <line>`` is printed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque

from rag_pipeline import PipelineStatus, start_status_server

STAGES = ("extracting", "chunking", "embedding", "storing")
STEP_SECONDS = 0.02


class Worker:
    """A pipeline whose every step is one file event: a file starts, changes its stage, or the oldest ends."""

    def __init__(self, number: int, in_flight: int) -> None:
        kind = ("local_files", "google_drive")[number % 2]
        self.status = PipelineStatus(kind, f"{kind.replace('_', '-')}-{number:03}")
        self.status.update(status="running", files_queued=5_000, own={"model": "MiniLM"})
        self._flying: deque[str] = deque()
        self._started = self._steps = 0
        for _ in range(in_flight):
            self._start()

    def step(self) -> None:
        """Cause one file event."""
        self._steps += 1
        kind = self._steps % (len(STAGES) + 2)
        if kind == 0:
            self._start()
        elif kind == 1:
            name = self._flying.popleft()
            failed = self._steps % 7 == 0
            self.status.complete_file(name, not failed, file_id=f"id {name}", error="no text" if failed else None)
        else:
            name = self._flying[kind - 2]
            self.status.file_progress(name, STAGES[kind - 2], kind / 10, file_id=f"id {name}")

    def _start(self) -> None:
        name = f"reports/2024/quarter/file {self._started:06}.pdf"
        self._started += 1
        self._flying.append(name)
        self.status.add_processing_file(
            name, f"id {name}", size=48_213, mime_type="application/pdf", link=f"https://drive.example.com/{name}"
        )


def work(workers: list[Worker], per_second: float, seconds: float) -> None:
    """Give each pipeline this many events a second for this long."""
    began, steps, pause = time.monotonic(), 0, threading.Event()
    while (passed := time.monotonic() - began) < seconds:
        while steps < passed * per_second * len(workers):
            workers[steps % len(workers)].step()
            steps += 1
        pause.wait(STEP_SECONDS)


def main() -> None:
    """Serve until the end of input."""
    count, in_flight, per_second = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    workers = [Worker(number, in_flight) for number in range(count)]
    with start_status_server(0, pipelines=[worker.status for worker in workers]) as server:
        print(f"port {server.http_port}", flush=True)
        for line in sys.stdin:
            work(workers, per_second, float(line))
            print(f"did {line.strip()}", flush=True)


if __name__ == "__main__":
    main()
