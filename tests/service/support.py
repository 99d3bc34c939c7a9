"""A server and clients for the tests of the service."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence

from rag_pipeline import PipelineStatus
from rag_pipeline.service import StatusServer
from tests.support.http_get import get_json
from tests.verify import Watcher

_numbers = itertools.count()
TOKEN = "a-token-of-the-house"


def new_pipeline(pipeline_type: str = "local_files") -> PipelineStatus:
    return PipelineStatus(pipeline_type, f"service-test-{next(_numbers)}")


def connect(server: StatusServer, transports: Sequence[str] = ("websocket",)) -> Watcher:
    return Watcher(f"http://127.0.0.1:{server.socket_port}", transports)


def wait_for(event: threading.Event) -> Callable[[], None]:
    """Return a call that waits for the event."""

    def wait() -> None:
        event.wait(60)

    return wait


def last_status(watcher: Watcher, namespace: str = "/pipeline") -> object:
    events = [item for item in watcher.received(namespace) if item.name == "pipeline:status"]
    return events[-1].arguments[0]["status"] if events else None


def assert_answers(server: StatusServer) -> None:
    assert get_json(server.http_port, "/health").status == 200
    assert get_json(server.socket_port, "/health").status == 200
