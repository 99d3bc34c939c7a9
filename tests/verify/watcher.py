"""A real Socket.IO client that records everything it receives, in order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import engineio
import requests
import socketio

from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.errors import ServiceError
from tests.verify.compare import CONNECT, DISCONNECT, Received

CONNECT_SECONDS = 10

# At INFO the library logs packet bodies.
_logger = logging.getLogger("tests.verify")
_logger.setLevel(logging.ERROR)


class Watcher:
    """One connection that joins all namespaces, ``/`` and ``/pipeline`` included, over the given transports.

    With ``("polling", "websocket")`` it connects by polling and upgrades, as browsers do. Raises ServiceError if it
    can't connect.
    """

    def __init__(self, url: str, transports: Sequence[str], namespaces: Sequence[str] = NAMESPACE_NAMES) -> None:
        self.name = "→".join(transports)
        self._received: dict[str, list[Received]] = {namespace: [] for namespace in namespaces}
        with requests.Session() as session:
            session.trust_env = False  # ignore proxies from the environment
            self._client = _Client(
                http_session=session, reconnection=False, handle_sigint=False, logger=_logger, engineio_logger=_logger
            )
        for namespace, kept in self._received.items():
            self._client.on("*", _recorder(kept), namespace=namespace)
            for name in (CONNECT, DISCONNECT):
                self._client.on(name, _recorder(kept, name), namespace=namespace)
        try:
            self._client.connect(
                url, transports=list(transports), namespaces=list(namespaces), wait_timeout=CONNECT_SECONDS
            )
        except socketio.exceptions.ConnectionError as error:
            raise ServiceError(f"a client could not connect to {url} by {self.name}: {error}") from error

    def received(self, namespace: str) -> list[Received]:
        """Return everything received in the namespace so far."""
        return self._received[namespace].copy()

    def count(self, namespace: str) -> int:
        """Return the number of events received in the namespace so far."""
        return sum(item.name not in (CONNECT, DISCONNECT) for item in self.received(namespace))

    def counts(self, namespace: str) -> Counter[str]:
        """Return the number of each event received in the namespace so far."""
        return Counter(item.name for item in self.received(namespace))

    @property
    def connected(self) -> bool:
        """Whether the client is connected."""
        return bool(self._client.connected)

    def close(self) -> None:
        """Disconnect; idempotent."""
        self._client.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recorder(kept: list[Received], name: str | None = None) -> Callable[..., None]:
    if name is not None:
        return lambda *arguments: kept.append(Received(name, arguments))
    return lambda event, *arguments: kept.append(Received(event, arguments))


class _OrderedEngineClient(engineio.Client):  # type: ignore[misc]  # the library has no types
    """Handles each packet before it reads the next; the library starts a thread for each, which loses their order."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["run_async"] = False
        return super()._trigger_event(event, *args, **kwargs)


class _Client(socketio.Client):  # type: ignore[misc]  # as above
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _OrderedEngineClient
