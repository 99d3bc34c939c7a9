"""A service whose process may open few files.

Prints its ports, then for each line that it reads how many of fifty files the pipeline could open at once.
"""

from __future__ import annotations

import json
import resource
import sys
from contextlib import ExitStack
from pathlib import Path

from rag_pipeline import PipelineStatus, start_status_server

FILES = 50


def open_files() -> int:
    with ExitStack() as stack:
        for number in range(FILES):
            try:
                stack.enter_context(Path(__file__).open())
            except OSError:
                return number
    return FILES


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
    pipeline = PipelineStatus("local_files", "limited")
    with start_status_server(0, pipelines=[pipeline]) as server:
        print(json.dumps([server.http_port, server.socket_port]), flush=True)
        for _ in sys.stdin:
            print(open_files(), flush=True)
