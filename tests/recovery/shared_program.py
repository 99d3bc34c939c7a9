"""One of several processes that share a Redis: a status server, or a pipeline with its service.

Arguments: ``serve``, or ``pipeline ID FILES``. Prints its two ports. A pipeline waits for a line, works, prints
``done``, and runs until the end of input.
"""

from __future__ import annotations

import logging
import sys
import threading

from rag_pipeline import PipelineStatus, start_status_server

WORK_SECONDS = 0.005


def main() -> None:
    """Serve, or work and serve, until the end of input."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    what = sys.argv[1]
    status = PipelineStatus("local_files", sys.argv[2]) if what == "pipeline" else None
    with start_status_server(0, host="127.0.0.1", pipelines=[] if status is None else [status]) as server:
        print(server.socket_port, server.http_port, flush=True)
        if status is not None:
            sys.stdin.readline()
            work(status, int(sys.argv[3]))
            print("done", flush=True)
        sys.stdin.read()


def work(status: PipelineStatus, files: int) -> None:
    """Report files and their stages; every fifth file fails."""
    status.update(status="processing")
    pause = threading.Event()
    for number in range(files):
        pause.wait(WORK_SECONDS)
        name = f"file-{number}"
        status.add_processing_file(name, name)
        status.file_progress(name, "embedding", 0.5, file_id=name)
        if number % 5:
            status.complete_file(name, file_id=name)
        else:
            status.complete_file(name, False, file_id=name, error="it is corrupt")
    status.update(status="idle")


if __name__ == "__main__":
    main()
