"""Connects to a service, watches the connection, and reconnects after it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import requests

from rag_pipeline.client.connection import Connection
from rag_pipeline.client.discovery import Target, find_target
from rag_pipeline.client.failures import RENEWABLE
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.client.state import ClientState, ConnectionState
from rag_pipeline.common.backoff import Backoff
from rag_pipeline.errors import AccessDeniedError, UnreachableError

logger = logging.getLogger("rag_pipeline.client")

TICK_SECONDS = 0.25
STABLE_SECONDS = 5.0
"""A connection that lasted this long resets the backoff."""

Token = str | Callable[[], str | None] | None


class ConnectOptions(NamedTuple):
    """Options of a connection. Without ``namespace`` the URL may end with one."""

    url: ServiceUrl
    namespace: str | None
    token: Token
    transports: Sequence[str]
    timeout_seconds: float
    reconnect_delay_seconds: float
    reconnect_delay_max_seconds: float
    give_up_after_seconds: float | None


def usable_transports() -> tuple[str, ...]:
    """Return the transports that the installed libraries support, the faster one first."""
    return ("websocket", "polling") if find_spec("websocket") is not None else ("polling",)


class Reconnector:
    """Keeps a client connected; :meth:`run` blocks its thread, :meth:`stop` may be called from any."""

    def __init__(self, options: ConnectOptions, state: ClientState) -> None:
        self._options = options
        self._state = state
        self._backoff = Backoff(options.reconnect_delay_seconds, options.reconnect_delay_max_seconds, jitter=0.5)
        self._stop = threading.Event()
        self._connection: Connection | None = None
        self._target: Target | None = None  # unknown before discovery, and after a failure
        self._was_connected = False
        self._lost_at = time.monotonic()
        self._token_renewed = False  # since the last accepted token

    def run(self) -> None:
        """Stay connected until stopped, refused or out of time; never raises."""
        try:
            while not self._stop.is_set():
                delay = self._attempt()
                if delay is None:
                    return
                self._stop.wait(delay)
        except Exception as error:
            # A bug in the client must not end the host program; whoever waits on the client gets the error.
            logger.exception("the client of %s has failed", self._options.url)
            self._state.set_connection(ConnectionState.CLOSED, error)

    def stop(self) -> None:
        """End the run and all its waits."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    def _attempt(self) -> float | None:
        """Connect and stay connected; return the seconds until the next attempt, None to give up."""
        try:
            reason = self._connect()
        except AccessDeniedError as error:
            if callable(self._options.token) and error.code in RENEWABLE and not self._token_renewed:
                self._token_renewed = True
                return 0.0
            self._state.set_connection(ConnectionState.REFUSED, error)
            return None
        except UnreachableError as error:
            reason = str(error)
        if self._stop.is_set():
            return None
        return self._retry_delay(reason)

    def _retry_delay(self, reason: str) -> float | None:
        """Publish why there is no connection; return the delay before the next attempt, None to give up."""
        url = self._options.url if self._target is None else self._target.url
        error = UnreachableError(f"no connection to {url}: {reason}")
        self._target = None  # a restarted service may have other ports
        limit, away = self._options.give_up_after_seconds, time.monotonic() - self._lost_at
        if limit is not None and away >= limit:
            self._state.set_connection(ConnectionState.CLOSED, error)
            return None
        self._state.set_connection(
            ConnectionState.RECONNECTING if self._was_connected else ConnectionState.CONNECTING, error
        )
        delay = self._backoff.delay()
        return delay if limit is None else min(delay, limit - away)

    def _connect(self) -> str:
        """Connect, and wait until the connection ends; return why it has."""
        options = self._options
        with requests.Session() as session:
            session.trust_env = not options.url.loopback
            token = self._token()
            if self._target is None:
                self._target = find_target(
                    options.url, options.namespace, session, token=token, timeout_seconds=options.timeout_seconds
                )
            url, namespace = self._target
            auth = {"token": token, "offset": self._state.begin(namespace)}
            connection = Connection(url, namespace, session, self._state.receive)
            self._connection = connection
            if self._stop.is_set():  # stopped before there was a connection to interrupt
                connection.interrupt()
            connection.open(
                {key: value for key, value in auth.items() if value is not None},
                options.transports,
                options.timeout_seconds,
            )
            try:
                return self._watch(connection)
            finally:
                connection.close()

    def _watch(self, connection: Connection) -> str:
        connected_at = time.monotonic()
        self._was_connected, self._token_renewed = True, False
        self._state.set_connection(ConnectionState.LIVE)  # shown as catching-up until the states are current
        reason = None
        while reason is None and not connection.wait(TICK_SECONDS):
            if self._state.tick():
                reason = "events were missing: a fresh snapshot is fetched"
        self._lost_at = time.monotonic()
        if self._lost_at - connected_at >= STABLE_SECONDS:
            self._backoff.reset()
        return reason or connection.reason

    def _token(self) -> str | None:
        token = self._options.token
        if not callable(token):
            return token or None
        try:
            return token() or None
        except Exception as error:  # noqa: BLE001 - whatever the host's function raises
            # The exception's message is not shown, because it may contain a secret.
            logger.warning("the token function has raised %s", type(error).__name__)
            raise UnreachableError(f"the token function has raised {type(error).__name__}") from None
