"""Leases: one owner at a time may write a pipeline's files, for as long as it renews its lease."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import LiteralString

from rag_pipeline.errors import StateError, StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool, PgConnection, transaction
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.types import Stopped

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
_CLOSE_SECONDS = 2.0

_BEGIN: LiteralString = """
BEGIN; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
# The server's clock counts: the clocks of the writers may differ.
_CLAIM: LiteralString = """
INSERT INTO {schema}.owners AS held (pipeline_id, owner, until)
VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (pipeline_id) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE held.owner = excluded.owner OR held.until < clock_timestamp()
"""
_RENEW: LiteralString = """
UPDATE {schema}.owners SET until = clock_timestamp() + make_interval(secs => %s) WHERE pipeline_id = %s AND owner = %s
"""
_RELEASE: LiteralString = "DELETE FROM {schema}.owners WHERE pipeline_id = %s AND owner = %s"
_HOLDER: LiteralString = "SELECT owner FROM {schema}.owners WHERE pipeline_id = %s"


class Leases:
    """The leases of one owner; safe under threads.

    ``owner`` differs for each state folder, and stays the same after a restart: so a restart need not wait until the
    lease of a killed process expires. The caller makes sure that only one process uses a state folder.
    """

    def __init__(self, pool: ConnectionPool, address: PostgresAddress, owner: str) -> None:
        self._pool = pool
        self._address = address
        self._owner = values.escape(owner)
        self._held: dict[str, StoreSchema] = {}  # items are only added, which is atomic
        self._ended = threading.Event()
        self._start_lock = threading.Lock()  # the thread is started once
        self._thread: threading.Thread | None = None

    def claim(self, connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> None:
        """Acquire the lease, in its own transaction; raises StateError if another owner holds it."""
        if pipeline_id in self._held:
            return
        with transaction(connection, _BEGIN):
            parameters = [values.escape(pipeline_id), self._owner, LEASE_SECONDS]
            acquired = connection.execute(schema.sql(_CLAIM), parameters).rowcount == 1
        if not acquired:
            holder = self._holder(connection, schema, pipeline_id) or "an owner that has just ended"
            raise StateError(
                f"{self._address}: the pipeline {pipeline_id!r} is run by another process, of {holder}: stop that one, "
                f"or give one of the two another id (a killed process's lease ends after {LEASE_SECONDS:.0f} seconds)"
            )
        self._held[pipeline_id] = schema
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_until_closed, name="store-leases", daemon=True)
                self._thread.start()

    def confirm(self, connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> None:
        """Renew an acquired lease; raises StateError if another owner has it now.

        The row stays locked until the end of the transaction, so the owner still holds the lease at the commit. As the
        last statement of a write, it blocks this owner's other writes only during the commit.
        """
        parameters = [LEASE_SECONDS, values.escape(pipeline_id), self._owner]
        if connection.execute(schema.sql(_RENEW), parameters).rowcount == 0:
            holder = self._holder(connection, schema, pipeline_id)
            by = f"by another process, of {holder}" if holder else "for a while, or its tables were recreated"
            raise StateError(f"{self._address}: the pipeline {pipeline_id!r} was taken over from this process {by}")

    def close(self) -> None:
        """Release the leases; if the server takes too long, they expire. Idempotent."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _renew_until_closed(self) -> None:
        """Renew the leases also while nothing is written, and release them in the end."""
        lost: set[str] = set()

        def renew(connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> None:
            try:
                self.confirm(connection, schema, pipeline_id)
            except StateError as error:
                if pipeline_id not in lost:
                    lost.add(pipeline_id)
                    logger.error("%s", error)  # the next write raises it

        def release(connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> None:
            connection.execute(schema.sql(_RELEASE), [values.escape(pipeline_id), self._owner])

        while not self._ended.wait(RENEW_SECONDS):
            self._for_each(renew)
        self._for_each(release)

    def _for_each(self, work: Callable[[PgConnection, StoreSchema, str], None]) -> None:
        def for_all(connection: PgConnection) -> None:
            for pipeline_id, schema in list(self._held.items()):
                with transaction(connection, _BEGIN):
                    work(connection, schema, pipeline_id)

        with suppress(StoreError, Stopped):  # if the server is unreachable, the next turn renews, or the leases expire
            self._pool.run("renewing the leases", for_all)

    def _holder(self, connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> str | None:
        row = connection.execute(schema.sql(_HOLDER), [values.escape(pipeline_id)]).fetchone()
        return None if row is None else str(row[0])
