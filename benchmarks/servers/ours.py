"""Our service, used as a pipeline uses it: files start and complete, called from a native thread.

Even numbers are ``add_processing_file``, odd ones ``complete_file`` of the same file, so ``count`` events are
``count / 2`` files. The event's mark stands in the file's link, and in its result once it is completed. Where the
journal is, the environment says, as it does for everyone.
"""

from __future__ import annotations

import os
import statistics
import time

from benchmarks.servers import common
from rag_pipeline import PipelineStatus, start_status_server

STARTED_BYTES = 440
"""How long an event is with an empty link, roughly: what is asked for above it is padding."""


class Emitter:
    """Turns event numbers into mutations."""

    def __init__(self) -> None:
        self._status = PipelineStatus(pipeline_type="bench", pipeline_id="bench")

    def emit(self, n: int, padding: str) -> None:
        """Make the mutation of event ``n``."""
        name = f"document-{n // 2}.pdf"
        if n % 2 == 0:
            self._status.add_processing_file(name, str(n // 2), link=common.mark(n) + padding)
        else:
            self._status.complete_file(name, file_id=str(n // 2), result=common.mark(n))

    def emit_all(self, command: common.Command) -> common.Answer:
        """Emit at the command's pace."""
        count, first = command["count"], command["first"]
        padding = "x" * max(0, command["size"] - STARTED_BYTES)
        waits = common.pauses(count, command["per_second"]) if command["cmd"] == "rate" else iter([0.0] * count)
        for n, wait in enumerate(waits, first):
            if wait:
                time.sleep(wait)
            self.emit(n, padding)
        return {"ok": True}

    def mutation(self, command: common.Command) -> common.Answer:
        """Time each call of a burst; microseconds."""
        taken: list[int] = []
        for n in range(command["first"], command["first"] + command["count"]):
            started = time.perf_counter_ns()
            self.emit(n, "")
            taken.append(time.perf_counter_ns() - started)
        cuts = statistics.quantiles(taken, n=100)
        return {"ok": True, "median_us": cuts[49] / 1e3, "p99_us": cuts[98] / 1e3, "max_us": max(taken) / 1e3}


def main() -> None:
    """Serve until the runner says quit."""
    emitter = Emitter()
    with start_status_server(0, host="127.0.0.1") as server:
        packages = ["python-socketio", "python-engineio", "eventlet"]
        if "STATUS_REDIS_URL" in os.environ:
            packages.append("redis")
        common.say_ready(server.socket_port, *packages, http_port=server.http_port)
        busy = common.BusyCommands()
        for command in common.read_commands():
            if command["cmd"] == "mutation":
                common.say(emitter.mutation(command))
            else:
                common.say(busy.obey(command) or emitter.emit_all(command))


if __name__ == "__main__":
    main()
