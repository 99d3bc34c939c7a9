"""An event loop that serves on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.common.descriptors import DescriptorBudget
from rag_pipeline.common.listener import open_listener
from rag_pipeline.socket_server.eventlet_driver.loop import EventletLoop
from rag_pipeline.socket_server.loop import Environ
from tests.socket_server.support import wait_until


class Driven:
    """A loop that serves on a thread; ``run`` calls a function there."""

    def __init__(self, limit: int = 1000) -> None:
        self.loop = EventletLoop(DescriptorBudget(lambda: limit).share(0))
        self.wake = native.WakeUpFd()
        self.todo: list[Callable[[], None]] = []
        self.drained = 0
        self.next_drain: float | None = None
        self.ended: list[str] = []
        self.app: Callable[[Environ, Any], Iterable[bytes]] = self.hello
        listener = open_listener("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.thread = threading.Thread(
            target=lambda: self.loop.serve(listener, self, self.wake.fd, self.drain),
            daemon=True,
        )
        self.thread.start()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        return self.app(environ, start_response)

    def make_room(self) -> bool:
        return False

    def close_clients(self) -> None:
        self.ended.append("close_clients")

    def has_waiting_clients(self) -> bool:
        """True for the first call, as if a client came back soon."""
        self.ended.append("has_waiting_clients")
        return self.ended.count("has_waiting_clients") == 1

    def abort_clients(self) -> None:
        self.ended.append("abort_clients")

    def hello(self, _environ: Environ, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def drain(self) -> float | None:
        self.wake.clear()
        self.drained += 1
        while self.todo:
            self.todo.pop(0)()
        wait, self.next_drain = self.next_drain, None
        return wait

    def run(self, function: Callable[[], Any]) -> Any:
        result: list[Any] = []
        self.todo.append(lambda: result.append(function()))
        self.wake.signal()
        wait_until(lambda: bool(result))
        return result[0]

    def stop(self) -> None:
        self.todo.append(self.loop.stop)
        self.wake.signal()
        self.thread.join(60)
        assert not self.thread.is_alive()
