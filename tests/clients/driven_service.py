"""A service for tests in another language: reads calls as lines of JSON, and answers each with a line.

A line is ``[target, name, arguments, keywords]``. The target ``service`` has ``start`` (port, state folder) and
``stop``. Any other target is a pipeline; ``default`` is the process-wide one. ``make`` (type) creates a pipeline,
``flood`` (events a second, seconds) emits events, and every other name is a method of PipelineStatus. An answer is the
pipeline's state, the ports, or ``{"error": …}``. Ends with its input.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any

from rag_pipeline import PipelineStatus, StatusServer, pipeline_status, start_status_server

Json = dict[str, Any]

_pause = threading.Event()


class Service:
    """The service and its pipelines."""

    def __init__(self) -> None:
        self._server: StatusServer | None = None
        self._pipelines: dict[str, PipelineStatus] = {"default": pipeline_status}

    def start(self, port: int, state_dir: str | None) -> Json:
        """Serve Socket.IO on the port, HTTP on any."""
        self._server = start_status_server(0, host="127.0.0.1", socket_port=port, state_dir=state_dir)
        return {"port": self._server.socket_port, "http_port": self._server.http_port}

    def stop(self) -> Json:
        """Stop the service; keep the pipelines."""
        if self._server is not None:
            self._server.stop()
        return {}

    def answer(self, target: str, name: str, arguments: list[Any], keywords: Json) -> Json:
        """Make the call of one line."""
        if target == "service":
            made: Json = getattr(self, name)(*arguments, **keywords)
            return made
        if name == "make":
            self._pipelines[target] = PipelineStatus(arguments[0], target)
        elif name == "flood":
            _flood(self._pipelines[target], *arguments)
        elif name != "get":
            getattr(self._pipelines[target], name)(*arguments, **keywords)
        return self._pipelines[target].get()


def _flood(pipeline: PipelineStatus, a_second: int, seconds: float) -> None:
    """Start and complete files at the given rate of events."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * a_second:
            name = f"file-{sent // 2}"
            if sent % 2:
                pipeline.complete_file(name, file_id=name, result={"chunks": sent})
            else:
                pipeline.add_processing_file(name, name)
            sent += 1
        _pause.wait(0.005)


def main() -> None:
    """Answer until the end of input."""
    logging.disable(logging.WARNING)  # about files that were never started, which is intended here
    service = Service()
    for line in sys.stdin:
        try:
            answer = service.answer(*json.loads(line))
        except Exception as error:  # noqa: BLE001 - sent to the test
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    service.stop()


if __name__ == "__main__":
    main()
