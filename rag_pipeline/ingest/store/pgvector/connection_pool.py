"""Pool of PostgreSQL connections that reconnects after a server outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from rag_pipeline.common.backoff import Backoff
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.errors import classify
from rag_pipeline.ingest.types import Stopped

_T = TypeVar("_T")
PgConnection = psycopg.Connection[tuple[Any, ...]]

RECONNECT_SECONDS = 20.0
"""Long enough for a restart or a failover; after that, the file is retried later."""

_MAX_IDLE = 8
_OPTIONS: dict[str, str | int] = {
    "application_name": "rag-pipeline",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    # The kernel notices a server that vanished without closing its connections.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@contextmanager
def transaction(connection: PgConnection, begin: LiteralString) -> Iterator[None]:
    """Run the block in a transaction. ``begin`` is BEGIN with the time limits, sent in one round trip.

    There is no ROLLBACK after an error: the pool closes a connection that is in a transaction, and the server then
    rolls back, even if the connection broke.
    """
    connection.execute(begin)
    yield
    connection.execute("COMMIT")


class ConnectionPool:
    """Lends a connection to each call; safe under threads.

    No lock is needed, because list.pop and list.append are atomic.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        reconnect_seconds: float = RECONNECT_SECONDS,
        stop: threading.Event | None = None,
    ) -> None:
        self._address = address
        self._reconnect_seconds = reconnect_seconds
        self._stop = threading.Event() if stop is None else stop
        self._idle: list[PgConnection] = []
        self._closed = threading.Event()

    def run(self, doing: str, work: Callable[[PgConnection], _T]) -> _T:
        """Return what ``work`` returns; if the connection is lost, call ``work`` again with a new one.

        So ``work`` must be safe to run twice: if a connection breaks during COMMIT, its outcome is unknown. ``doing``
        names the operation in error messages. Raises StoreError, with ``retryable``, or Stopped while it waits for the
        server.
        """
        deadline = time.monotonic() + self._reconnect_seconds
        backoff = Backoff(0.1, 2.0, jitter=1.0)
        while True:
            idle = self._take_idle()
            try:
                with self._lend(idle) as connection:
                    return work(connection)
            except psycopg.Error as error:
                failure = classify(error, self._address)
                if idle is not None and failure.connection_lost:
                    self._close_idle()  # the other idle connections broke too, perhaps long ago
                    continue
                if not failure.wait or time.monotonic() >= deadline:
                    store_error = StoreError(f"{self._address}: {doing} failed: {failure.cause}")
                    store_error.retryable = failure.retryable
                    raise store_error from error
            if self._stop.wait(backoff.delay()):
                raise Stopped

    def close(self) -> None:
        """Close the idle connections now, and the others when they are returned; idempotent."""
        self._closed.set()
        self._close_idle()

    @contextmanager
    def _lend(self, idle: PgConnection | None) -> Iterator[PgConnection]:
        if self._closed.is_set():
            raise StoreError(f"{self._address}: the vector store is closed")
        connection = self._connect() if idle is None else idle
        try:
            yield connection
        finally:
            # After an error or Ctrl+C a connection may still be in a transaction; such a connection is not reused.
            if connection.info.transaction_status is TransactionStatus.IDLE and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
            else:
                connection.close()
            if self._closed.is_set():
                self._close_idle()

    def _take_idle(self) -> PgConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> PgConnection:
        # No prepared statements: a PgBouncer in between may change the server with each transaction.
        parameters: dict[str, Any] = {**_OPTIONS, **self._address.connection_parameters()}
        connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        values.register(connection.adapters)
        return connection

    def _close_idle(self) -> None:
        while (connection := self._take_idle()) is not None:
            connection.close()
