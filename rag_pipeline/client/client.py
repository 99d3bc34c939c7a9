"""StatusClient: follows a service and keeps the states of its pipelines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from rag_pipeline.client.reconnector import ConnectOptions, Reconnector, Token, usable_transports
from rag_pipeline.client.service_url import parse_url
from rag_pipeline.client.state import ClientState, ConnectionState
from rag_pipeline.client.stream import EventStream
from rag_pipeline.common.config import TRANSPORTS
from rag_pipeline.common.env import reject
from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.errors import WaitTimeoutError

logger = logging.getLogger("rag_pipeline.client")

DEFAULT_URL = "http://127.0.0.1:8004"
MAX_WAITING_EVENTS = 10_000
CLOSE_SECONDS = 5.0
COALESCE_SECONDS = 0.01

State = dict[str, Any]
"""A pipeline's state, as ``GET /status`` shows it."""


class StatusClient:
    """Follows a service through breaks and restarts until it is closed; a context manager, safe for any thread.

    Each state is one that its pipeline really had: a snapshot with every event since applied. After a break the client
    resumes, or takes a fresh snapshot. ``connection`` says whether the states are current.

    - ``url``: the Socket.IO server, or the HTTP server, whose ``/health`` names the other port. It may end with the
      namespace, as URLs of socket.io-client do.
    - ``namespace``: the pipelines to follow; wins over the one in ``url``. Default: ``/pipeline``, all of them.
    - ``token``: a string, or a function that is called before each attempt to connect.
    - ``on_change``: called with the client after changes, on a separate thread; quick changes share one call.
    - ``reconnect_delay_seconds``, ``reconnect_delay_max_seconds``: the first and the longest delay between attempts.
    - ``give_up_after_seconds``: how long the service may be away; None: for ever.

    Errors of the service are raised only from calls that wait for something. Raises ConfigurationError for a bad
    argument.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        namespace: str | None = None,
        token: Token = None,
        transports: Sequence[str] | None = None,
        on_change: Callable[[StatusClient], object] | None = None,
        timeout_seconds: float = 5.0,
        reconnect_delay_seconds: float = 0.5,
        reconnect_delay_max_seconds: float = 10.0,
        give_up_after_seconds: float | None = None,
    ) -> None:
        if namespace is not None and namespace not in NAMESPACE_NAMES:
            reject("namespace", namespace, "one of " + ", ".join(NAMESPACE_NAMES))
        if transports is not None and (not transports or not set(transports) <= set(TRANSPORTS)):
            reject("transports", transports, "some of " + ", ".join(TRANSPORTS))
        for name, value in (
            ("timeout_seconds", timeout_seconds),
            ("reconnect_delay_seconds", reconnect_delay_seconds),
            ("reconnect_delay_max_seconds", reconnect_delay_max_seconds),
        ):
            if not 0 < value < 1e6:
                reject(name, value, "a number of seconds above 0")
        self._state = ClientState()
        self._on_change = on_change
        self._reconnector = Reconnector(
            ConnectOptions(
                parse_url(url),
                namespace,
                token,
                transports or usable_transports(),
                timeout_seconds,
                reconnect_delay_seconds,
                reconnect_delay_max_seconds,
                give_up_after_seconds,
            ),
            self._state,
        )
        self._lock = threading.Lock()  # protects _threads
        self._threads: list[threading.Thread] | None = None

    # -- lifecycle -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start following in the background; idempotent. Entering the context manager does the same."""
        with self._lock:
            if self._threads is None and self.connection is not ConnectionState.CLOSED:
                targets = [self._reconnector.run]
                if self._on_change is not None:
                    targets.append(self._call_on_change)
                self._threads = [threading.Thread(target=run, name="status-client", daemon=True) for run in targets]
                for thread in self._threads:
                    thread.start()
        return self

    def close(self) -> None:
        """Disconnect, and end every wait and stream, within seconds; idempotent. The last states stay readable."""
        self._state.set_connection(ConnectionState.CLOSED)
        self._reconnector.stop()
        with self._lock:
            threads = self._threads or []
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            if thread is not threading.current_thread():  # on_change may close the client
                thread.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def connection(self) -> ConnectionState:
        """The connection: connecting, live, catching-up, reconnecting, refused or closed."""
        return self._state.connection

    @property
    def error(self) -> Exception | None:
        """Why there is no connection: UnreachableError, or AccessDeniedError; None while there is one."""
        return self._state.error

    @property
    def recovered(self) -> bool | None:
        """Whether the last reconnection missed no event; None before the first."""
        return self._state.recovered

    @property
    def pipelines(self) -> dict[str, State]:
        """Copies of the last known states by pipeline id, in the order in which they were first seen."""
        return {pipeline_id: _copy(state) for pipeline_id, state in self._state.states().items()}

    def state(self, pipeline_id: str | None = None) -> State | None:
        """Return a copy of a pipeline's state, by default of the one seen first; None if it is unknown."""
        states = self._state.states()
        state = states.get(next(iter(states), "") if pipeline_id is None else pipeline_id)
        return None if state is None else _copy(state)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def events(self, *, timeout: float | None = None, limit: int = MAX_WAITING_EVENTS) -> EventStream:
        """Return an iterator over the events from now on, in order, each once.

        ``timeout`` bounds the wait for each event, in seconds; ``limit`` bounds the number of unread events.
        """
        if limit < 1:
            reject("limit", limit, "a whole number from 1")
        return self._state.stream(limit, timeout)

    def wait_for(
        self, predicate: Callable[[dict[str, State]], object] | None = None, timeout: float | None = None
    ) -> dict[str, State]:
        """Wait until the predicate is true for the states by pipeline id; return them. Without one: until live.

        It is called only while the client is live, with the newest states: changes in quick succession are one.
        Raises WaitTimeoutError, which is a TimeoutError, after ``timeout`` seconds; AccessDeniedError when the service
        refuses the client, UnreachableError when the client gives up, ClientClosedError when it is closed, and what
        the predicate raises.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        version = self._state.version
        while True:
            states = self._state.live_states()
            if states is not None:
                copies = {pipeline_id: _copy(state) for pipeline_id, state in states.items()}
                if predicate is None or predicate(copies):
                    return copies
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise WaitTimeoutError(self._timeout_message(timeout, states is not None))
            version = self._next_version(version, remaining)

    def _next_version(self, version: int, timeout_seconds: float | None) -> int:
        """Wait for a change after ``version``, and for those that follow closely; return the current version."""
        began = time.monotonic()
        changed = self._state.wait(version, timeout_seconds)
        if changed != version and time.monotonic() - began < COALESCE_SECONDS:
            # Handling each of thousands of changes a second would starve the thread that receives them.
            time.sleep(COALESCE_SECONDS)
            changed = self._state.version
        return changed

    def _timeout_message(self, timeout: float | None, live: bool) -> str:
        error = self.error
        why = "" if live else f": the client is {self.connection}" + ("" if error is None else f", {error}")
        return f"the condition did not become true within {timeout:g} seconds{why}"

    def _call_on_change(self) -> None:
        assert self._on_change is not None
        version = 0
        while True:
            version = self._next_version(version, None)
            is_last = self.connection.is_final
            try:
                self._on_change(self)
            except Exception:
                logger.exception("on_change has raised an exception")
            if is_last:
                return


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
