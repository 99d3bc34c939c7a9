"""Connections to PostgreSQL: kept for the next call, made anew when the server was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.embed.backoff import delay_before
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.errors import classify
from rag_pipeline.ingest.types import Stopped

_T = TypeVar("_T")
PgConnection = psycopg.Connection[tuple[Any, ...]]

RECONNECT_SECONDS = 20.0
"""As long as a server takes to restart, or another to take its place; after that the file is tried again later."""

_MOST_IDLE = 8
_PAUSES = {"base_seconds": 0.1, "cap_seconds": 2.0}
_OPTIONS: dict[str, str | int] = {
    "application_name": "rag-pipeline",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed by the kernel.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


@contextmanager
def transaction(connection: PgConnection, begin: LiteralString) -> Iterator[None]:
    """Commit what is done inside. ``begin`` is BEGIN, with the bounds for what follows in the same round trip.

    After an error nothing is rolled back here: the link closes a connection that is in the middle of something, which
    is what makes the server do it, even where the connection broke.
    """
    connection.execute(begin)
    yield
    connection.execute("COMMIT")


class ConnectionPool:
    """Lends each call a connection of its own; safe to call from several threads.

    Lists are popped and appended to atomically, so no lock is needed: what is idle belongs to nobody.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        patience_seconds: float = RECONNECT_SECONDS,
        stop: threading.Event | None = None,
    ) -> None:
        self._address = address
        self._patience_seconds = patience_seconds
        self._stop = threading.Event() if stop is None else stop
        self._idle: list[PgConnection] = []
        self._closed = threading.Event()

    def run(self, doing: str, work: Callable[[PgConnection], _T]) -> _T:
        """Return what ``work`` returns; after a lost connection it is done again on a new one, from its beginning.

        So ``work`` must be one that may be done twice: whether a commit arrived can't be told when the connection
        breaks. Raises StoreError, with ``retryable``, or Stopped while it waits for the server.
        """
        deadline = time.monotonic() + self._patience_seconds
        attempt = 0
        while True:
            kept = self._take()
            try:
                with self._lent(kept) as connection:
                    return work(connection)
            except psycopg.Error as error:
                fault = classify(error, self._address)
                if kept is not None and fault.lost:
                    self._drop_idle()  # they broke when this one did, perhaps long ago
                    continue
                if not fault.waited_for or time.monotonic() >= deadline:
                    failure = StoreError(f"{self._address}: {doing} failed: {fault.cause}")
                    failure.retryable = fault.retryable
                    raise failure from error
            if self._stop.wait(delay_before(attempt, None, **_PAUSES)):
                raise Stopped
            attempt += 1

    def close(self) -> None:
        """Close what is idle now, and the rest as it comes back; idempotent."""
        self._closed.set()
        self._drop_idle()

    @contextmanager
    def _lent(self, kept: PgConnection | None) -> Iterator[PgConnection]:
        if self._closed.is_set():
            raise StoreError(f"{self._address}: the vector store is closed")
        connection = self._connect() if kept is None else kept
        try:
            yield connection
        finally:
            # One in the middle of something, as after an error or Ctrl+C, is of no use to anybody.
            if connection.info.transaction_status is TransactionStatus.IDLE and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()
            if self._closed.is_set():
                self._drop_idle()

    def _take(self) -> PgConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self) -> PgConnection:
        # Without prepared statements, so that a PgBouncer in between may change servers at any transaction.
        parameters: dict[str, Any] = {**_OPTIONS, **self._address.connection_parameters()}
        connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        values.register(connection.adapters)
        return connection

    def _drop_idle(self) -> None:
        while (connection := self._take()) is not None:
            connection.close()
