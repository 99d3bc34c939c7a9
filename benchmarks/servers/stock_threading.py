"""python-socketio in threading mode behind Werkzeug's threaded server: a native thread or two for each client."""

from __future__ import annotations

import os
import threading
import time

import socketio
from werkzeug.serving import WSGIRequestHandler, make_server

from benchmarks.servers import common


class Handler(WSGIRequestHandler):
    """Keeps connections open for long-polling, and logs no requests."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - Werkzeug's name
        """Say nothing: a WebSocket that ends is reported as an error here."""


def emit_all(sio: socketio.Server, command: common.Command) -> common.Answer:
    """Emit the command's events from this thread."""
    count, first = command["count"], command["first"]
    waits = common.pauses(count, command["per_second"]) if command["cmd"] == "rate" else iter([0.0] * count)
    for n, wait in enumerate(waits, first):
        if wait:
            time.sleep(wait)
        for name, body in common.events_at(n, command):
            sio.emit(name, body, namespace=common.NAMESPACE)
    return {"ok": True}


def main() -> None:
    """Serve until the runner says quit."""
    sio = socketio.Server(async_mode="threading", namespaces=[common.NAMESPACE], cors_allowed_origins=[], logger=False)
    sio.on("connect", lambda *_: None, namespace=common.NAMESPACE)
    server = make_server("127.0.0.1", 0, socketio.WSGIApp(sio), threaded=True, request_handler=Handler)
    server.socket.listen(4096)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    common.say_ready(server.port, "python-socketio", "python-engineio", "simple-websocket", "werkzeug")
    busy = common.BusyCommands()
    for command in common.read_commands():
        common.say(busy.obey(command) or emit_all(sio, command))
    os._exit(0)


if __name__ == "__main__":
    main()
