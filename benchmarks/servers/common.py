"""What the Python servers share: the commands, the body of an event, and pacing.

A server prints one JSON line when it accepts connections (``{"ready": true, "port": …, "versions": {…}}``; ours adds
``"http_port"``), then reads one command a line from stdin and answers each with one line when the command is finished:

| command | meaning |
|---|---|
| ``{"cmd": "burst", "first": n, "count": k, "size": bytes}`` | emit k events as fast as the server's own API goes |
| ``{"cmd": "rate", "first": n, "count": k, "size": bytes, "per_second": r}`` | emit k events at an even pace; with |
| | ``"status_bytes": b`` a peer emits a status of b bytes behind each tenth |
| ``{"cmd": "busy_start"}``, ``busy_read``, ``busy_stop`` | a CPU-bound thread; answers its loops so far, and the time |
| ``{"cmd": "mutation", "first": n, "count": k}`` | as burst, each call timed; ours alone knows it |
| ``{"cmd": "quit"}`` | end |

The end of stdin ends the server too, so none outlives the runner.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

NAMESPACE = "/pipeline"
EVENT = "pipeline:file_completed"
STATUS_EVENT = "pipeline:status"
EVENTS_A_STATUS = 10

Command = dict[str, Any]
Answer = dict[str, Any]


def say(answer: Answer) -> None:
    """Write one line to the runner."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def say_ready(port: int, *packages: str, **more: Any) -> None:
    """Tell the runner that the server accepts connections on ``port``, and what else there is to know of it."""
    versions = {"python": sys.version.split()[0]} | {name: version(name) for name in packages}
    say({"ready": True, "port": port, "versions": versions, **more})


def read_commands() -> Iterator[Command]:
    """Yield the runner's commands until ``quit`` or the end of stdin; blocks, so it belongs on its own thread."""
    for line in sys.stdin:
        command: Command = json.loads(line)
        if command["cmd"] == "quit":
            return
        yield command


def mark(n: int) -> str:
    """Return the text the counting client looks for: the event's number and the time it is sent."""
    return f"@n={n},t={time.monotonic_ns()}"


def event_body(n: int, size: int) -> dict[str, Any]:
    """Return a file event of a peer, shaped like ours, that is about ``size`` bytes long on the wire."""
    body = {
        "pipeline_id": "bench",
        "pipeline_type": "pipeline",
        "epoch": "0123456789ab",
        "seq": n,
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "file": {"name": f"document-{n}.pdf", "id": str(n), "stage": None, "error": None, "link": mark(n)},
    }
    body["pad"] = "x" * max(0, size - 283)
    return body


def events_at(n: int, command: Command) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and body of what a peer emits as number ``n``: the event, and a status behind each tenth if asked."""
    yield EVENT, event_body(n, command["size"])
    if command.get("status_bytes") and n % EVENTS_A_STATUS == 0:
        yield STATUS_EVENT, {"pad": "x" * command["status_bytes"]}


def pauses(count: int, per_second: float) -> Iterator[float]:
    """Yield before each of ``count`` events how many seconds to wait; after a delay it catches up without waiting."""
    start = time.monotonic()
    for index in range(count):
        yield max(0.0, start + index / per_second - time.monotonic())


class BusyThread:
    """A thread that does nothing but pure-Python work, and counts how much of it got done."""

    def __init__(self) -> None:
        self.loops = 0
        self._stop = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        total = 0
        while not self._stop:
            for number in range(1000):
                total = (total * 31 + number) & 0xFFFF
            self.loops += 1

    def finish(self) -> None:
        """Stop the thread."""
        self._stop = True
        self._thread.join()


class BusyCommands:
    """Obeys ``busy_start``, ``busy_read`` and ``busy_stop``, which are the same for every Python server."""

    def __init__(self) -> None:
        self._busy: BusyThread | None = None

    def obey(self, command: Command) -> Answer | None:
        """Return the answer, or None for a command of another kind."""
        if command["cmd"] == "busy_start":
            self._busy = BusyThread()
        if not command["cmd"].startswith("busy_") or self._busy is None:
            return None
        answer = {"ok": True, "loops": self._busy.loops, "seconds": time.monotonic()}
        if command["cmd"] == "busy_stop":
            self._busy.finish()
        return answer
