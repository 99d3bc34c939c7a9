"""python-socketio on eventlet, nothing patched, emitting from a greenlet of the hub: the best the stock library does.

Emitting from the mutating thread, as a first reading of its documentation suggests, loses events.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections import deque

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.wsgi
    from eventlet.hubs import trampoline

import socketio

from benchmarks.servers import common

MAX_CONNECTIONS = 20_000  # eventlet's own default stops answering at 1,024


class Server:
    """Runs in the main thread's hub; a native thread reads stdin and hands each command over through a pipe."""

    def __init__(self) -> None:
        self._sio = socketio.Server(
            async_mode="eventlet", namespaces=[common.NAMESPACE], cors_allowed_origins=[], logger=False
        )
        self._sio.on("connect", lambda *_: None, namespace=common.NAMESPACE)
        self._commands: deque[common.Command | None] = deque()
        self._readable, self._writable = os.pipe()

    def run(self) -> None:
        """Serve until the runner says quit."""
        listener = eventlet.listen(("127.0.0.1", 0), backlog=4096)
        app = socketio.WSGIApp(self._sio)
        eventlet.spawn(eventlet.wsgi.server, listener, app, log_output=False, max_size=MAX_CONNECTIONS)
        eventlet.sleep(0)
        threading.Thread(target=self._read, daemon=True).start()
        common.say_ready(listener.getsockname()[1], "python-socketio", "python-engineio", "eventlet")
        busy = common.BusyCommands()
        while (command := self._next_command()) is not None:
            common.say(busy.obey(command) or self._emit_all(command))
        os._exit(0)

    def _read(self) -> None:
        for command in common.read_commands():
            self._hand_over(command)
        self._hand_over(None)

    def _hand_over(self, command: common.Command | None) -> None:
        self._commands.append(command)
        os.write(self._writable, b"x")

    def _next_command(self) -> common.Command | None:
        trampoline(self._readable, read=True)
        os.read(self._readable, 1)
        return self._commands.popleft()

    def _emit_all(self, command: common.Command) -> common.Answer:
        count, first = command["count"], command["first"]
        waits = common.pauses(count, command["per_second"]) if command["cmd"] == "rate" else iter([0.0] * count)
        for n, wait in enumerate(waits, first):
            # A burst gives the hub no turn before its end: queues that are full are four times cheaper to empty.
            if command["cmd"] == "rate":
                eventlet.sleep(wait)
            for name, body in common.events_at(n, command):
                self._sio.emit(name, body, namespace=common.NAMESPACE)
        return {"ok": True}


if __name__ == "__main__":
    Server().run()
