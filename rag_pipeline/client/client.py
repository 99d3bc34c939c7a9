"""StatusClient: follows a service, and has its pipelines' states at hand."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from rag_pipeline.client import address
from rag_pipeline.client.reconnector import Plan, Tender, Token, usable_transports
from rag_pipeline.client.state import OVER, Board, Standing
from rag_pipeline.client.stream import EventStream
from rag_pipeline.common.config import TRANSPORTS, reject
from rag_pipeline.contract.events import NAMESPACE_NAMES
from rag_pipeline.errors import WaitTimeoutError

logger = logging.getLogger("rag_pipeline.client")

DEFAULT_URL = "http://127.0.0.1:8004"
MAX_WAITING_EVENTS = 10_000
CLOSE_SECONDS = 5.0
TOGETHER_SECONDS = 0.01

State = dict[str, Any]
"""A pipeline's state, as ``GET /status`` shows it."""


class StatusClient:
    """Follows a service until it is closed, through breaks and restarts; a context manager, safe for any thread.

    The states are those of the pipelines in ``namespace``, always as a pipeline showed them: the snapshot, with every
    event since applied; after a break the client goes on where it was, or takes a fresh snapshot. ``connection`` says
    whether they are those of now.

    ``url`` is that of the Socket.IO server, or of the HTTP server beside it, whose ``/health`` names the other port. It
    may end with the namespace, as socket.io-client's addresses do; ``namespace`` wins, and without either it is
    ``/pipeline``.
    ``token`` is a string, or a function that is asked for one before each attempt to connect. ``on_change`` is called
    with the client after changes, on a thread of its own; those in quick succession are one call. Attempts are
    ``reconnect_delay_seconds`` apart at first and at most ``reconnect_delay_max_seconds``, for ever, or until the
    service was away for ``give_up_after_seconds``. Nothing that the service does raises but where it is waited for.

    Raises ConfigurationError for an argument that can't be used.
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
        self._board = Board()
        self._on_change = on_change
        self._tender = Tender(
            Plan(
                address.parse(url),
                namespace,
                token,
                transports or usable_transports(),
                timeout_seconds,
                reconnect_delay_seconds,
                reconnect_delay_max_seconds,
                give_up_after_seconds,
            ),
            self._board,
        )
        self._lock = threading.Lock()  # protects the threads
        self._threads: list[threading.Thread] | None = None

    # -- its life --------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to follow, and return at once; idempotent. Entering the client does the same."""
        with self._lock:
            if self._threads is None and self.connection is not Standing.CLOSED:
                targets = [self._tender.run] if self._on_change is None else [self._tender.run, self._tell_changes]
                self._threads = [threading.Thread(target=run, name="status-client", daemon=True) for run in targets]
                for thread in self._threads:
                    thread.start()
        return self

    def close(self) -> None:
        """Leave the service and end every wait and stream, within seconds; idempotent. The last states stay."""
        self._board.stand(Standing.CLOSED)
        self._tender.stop()
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

    # -- what it knows ---------------------------------------------------------------------------------------------

    @property
    def connection(self) -> Standing:
        """How the connection stands: connecting, live, catching-up, reconnecting, refused or closed."""
        return self._board.standing

    @property
    def error(self) -> Exception | None:
        """Why there is no connection: UnreachableError, or AccessDeniedError; None while there is one."""
        return self._board.error

    @property
    def recovered(self) -> bool | None:
        """Whether no event was missed by the last reconnection; None before the first."""
        return self._board.recovered

    @property
    def pipelines(self) -> dict[str, State]:
        """The states by pipeline id, the one seen first at the front; copies, of the last that is known."""
        return {pipeline_id: _copy(state) for pipeline_id, state in self._board.states().items()}

    def state(self, pipeline_id: str | None = None) -> State | None:
        """Return a copy of one pipeline's state, without an id of the one seen first; None if there is no such."""
        states = self._board.states()
        found = states.get(next(iter(states), "") if pipeline_id is None else pipeline_id)
        return None if found is None else _copy(found)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def events(self, *, timeout: float | None = None, limit: int = MAX_WAITING_EVENTS) -> EventStream:
        """Return an iterator over the events from now on, in order, each once; see :class:`EventStream`.

        ``timeout`` bounds the wait for each, in seconds; ``limit`` how many may wait to be read.
        """
        if limit < 1:
            reject("limit", limit, "a whole number from 1")
        return self._board.stream(limit, timeout)

    def wait_for(
        self, predicate: Callable[[dict[str, State]], object] | None = None, timeout: float | None = None
    ) -> dict[str, State]:
        """Wait until the predicate is true of the states, by pipeline id; return those. Without one: until live.

        It is asked only while the client is live, and of what is newest then: changes in quick succession are one.
        Raises WaitTimeoutError, which is a TimeoutError, after ``timeout`` seconds; AccessDeniedError when the service
        refuses the client, UnreachableError when the client gives up, ClientClosedError when it is closed; and what the
        predicate raises.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        version = self._board.version
        while True:
            states = self._board.live_states()
            if states is not None:
                copies = {pipeline_id: _copy(state) for pipeline_id, state in states.items()}
                if predicate is None or predicate(copies):
                    return copies
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeoutError(self._in_vain(timeout, states is not None))
            version = self._next(version, left)

    def _next(self, version: int, timeout_seconds: float | None) -> int:
        """Wait for a change after that version, and for those that come together with it; return the version now."""
        began = time.monotonic()
        changed = self._board.wait(version, timeout_seconds)
        if changed != version and time.monotonic() - began < TOGETHER_SECONDS:
            # Looking at each of thousands a second would take the time that reading them needs.
            time.sleep(TOGETHER_SECONDS)
            changed = self._board.version
        return changed

    def _in_vain(self, timeout: float | None, live: bool) -> str:
        error = self.error
        why = "" if live else f": the client is {self.connection}" + ("" if error is None else f", {error}")
        return f"what was waited for did not happen within {timeout:g} seconds{why}"

    def _tell_changes(self) -> None:
        assert self._on_change is not None
        version = 0
        while True:
            version = self._next(version, None)
            over = self.connection in OVER
            try:
                self._on_change(self)
            except Exception:
                logger.exception("on_change has failed")
            if over:
                return


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
