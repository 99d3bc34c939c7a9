"""A Socket.IO server that a test scripts: it refuses, ends sessions, skips events. Polling only."""

from __future__ import annotations

import socketserver
import threading
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import socketio

from rag_pipeline.contract import events
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder

Auth = dict[str, Any]


class Scripted:
    """Calls ``on_connect`` with the ``auth`` of each CONNECT.

    An exception refuses the CONNECT; a returned function runs after it.
    """

    def __init__(self) -> None:
        self.auths: list[Auth] = []
        self.on_connect: Callable[[Auth], Callable[[], None] | None] = lambda _auth: None
        self.server = socketio.Server(async_mode="threading", async_handlers=False, namespaces=list(events.NAMESPACES))
        self.sids: list[str] = []
        for namespace in events.NAMESPACES:
            self.server.on("connect", self._connect, namespace=namespace)
        self.port = 0

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Send an event to everyone."""
        self.server.emit(name, data, namespace=events.NS_PIPELINE)

    def end_session(self) -> None:
        """Send DISCONNECT to the last client, as the service does when a token expires."""
        self.server.disconnect(self.sids[-1], namespace=events.NS_PIPELINE)

    def _connect(self, sid: str, _environ: object, auth: Auth | None) -> None:
        self.auths.append(auth or {})
        then = self.on_connect(auth or {})
        self.sids.append(sid)
        if then is not None:  # after CONNECT, which is sent when this returns
            self.server.start_background_task(lambda: (self.server.sleep(0.05), then()))


def refuse(code: str) -> None:
    """Raise an exception that makes a CONNECT_ERROR like the service's."""
    raise socketio.exceptions.ConnectionRefusedError("the message", {"code": code})


@contextmanager
def scripted() -> Iterator[Scripted]:
    """Run a scripted server on a free port."""
    script = Scripted()
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, socketio.WSGIApp(script.server), _Threaded, handler_class=_Quiet
    )
    script.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.server.shutdown()
        server.shutdown()
        thread.join(60)
        server.server_close()


class _Threaded(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    block_on_close = False


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


class Played:
    """A pipeline whose events a test sends by hand, in the form in which the service sends them."""

    def __init__(self, pipeline_id: str = "played") -> None:
        self.pipeline = PipelineStatus("local_files", pipeline_id)
        self._recorder = Recorder()
        core_of(self.pipeline).attach(self._recorder)
        self.pipeline.update(status="running")

    def snapshot(self, **more: object) -> dict[str, Any]:
        """Return a status with the current state."""
        state = self.pipeline.get()
        return {**state, "timestamp": state["last_activity"], "offset": self._offset(state["seq"]), **more}

    def last(self) -> tuple[str, dict[str, Any]]:
        """Return the last event with its own sequence number."""
        event = self._recorder.changes[-1]
        return event.name, {**event.payload(), "offset": self._offset(event.seq)}

    def _offset(self, seq: int) -> str:
        return f"0123456789abcdef-{seq:x}"
