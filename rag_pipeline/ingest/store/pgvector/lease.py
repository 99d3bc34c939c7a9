"""Who writes a pipeline's files: one owner at a time, for as long as it renews its lease."""

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
# Times are the server's: the clocks of the writers may differ.
_CLAIM: LiteralString = """
INSERT INTO {schema}.owners AS held (pipeline_id, owner, until)
VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (pipeline_id) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE held.owner = excluded.owner OR held.until < clock_timestamp()
"""
_RENEW: LiteralString = """
UPDATE {schema}.owners SET until = clock_timestamp() + make_interval(secs => %s) WHERE pipeline_id = %s AND owner = %s
"""
_GIVE_BACK: LiteralString = "DELETE FROM {schema}.owners WHERE pipeline_id = %s AND owner = %s"
_HOLDER: LiteralString = "SELECT owner FROM {schema}.owners WHERE pipeline_id = %s"


class Leases:
    """The leases of one owner; safe to call from several threads.

    ``owner`` is another for each state folder, and the same after a restart, which so needs not wait for the lease of
    a process that was killed. That no two processes have one state folder is seen to by whoever opens it.
    """

    def __init__(self, link: ConnectionPool, address: PostgresAddress, owner: str) -> None:
        self._link = link
        self._address = address
        self._owner = values.escape(owner)
        self._held: dict[str, StoreSchema] = {}  # grows alone, one item at a time, which is atomic
        self._ended = threading.Event()
        self._starting = threading.Lock()  # so that the thread is started once
        self._thread: threading.Thread | None = None

    def claim(self, connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> None:
        """Take the lease unless it is held, in a transaction of its own; raises StateError if another has it."""
        if pipeline_id in self._held:
            return
        with transaction(connection, _BEGIN):
            given = [values.escape(pipeline_id), self._owner, LEASE_SECONDS]
            taken = connection.execute(layout.sql(_CLAIM), given).rowcount == 1
        if not taken:
            holder = self._holder(connection, layout, pipeline_id) or "somebody who has just ended"
            raise StateError(
                f"{self._address}: the pipeline {pipeline_id!r} is run by another process, of {holder}: stop that one, "
                f"or give one of the two another id (one that was killed lets go after {LEASE_SECONDS:.0f} seconds)"
            )
        self._held[pipeline_id] = layout
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="store-leases", daemon=True)
                self._thread.start()

    def confirm(self, connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> None:
        """Renew a lease that was taken; raises StateError if another has taken it since.

        The row is locked from here to the end of the transaction, so what is committed was the owner's to write. As
        the last statement of a write it makes this owner's other writes wait for no more than the commit.
        """
        given = [LEASE_SECONDS, values.escape(pipeline_id), self._owner]
        if connection.execute(layout.sql(_RENEW), given).rowcount == 0:
            holder = self._holder(connection, layout, pipeline_id)
            by = f"by another process, of {holder}" if holder else "for a while, or its tables were made anew"
            raise StateError(f"{self._address}: the pipeline {pipeline_id!r} was taken over from this process {by}")

    def close(self) -> None:
        """Give the leases back, unless the server takes too long: then they run out. Idempotent."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _keep(self) -> None:
        """Renew what is held also while nothing is written, and give it back in the end."""
        lost: set[str] = set()

        def renew(connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> None:
            try:
                self.confirm(connection, layout, pipeline_id)
            except StateError as error:
                if pipeline_id not in lost:
                    lost.add(pipeline_id)
                    logger.error("%s", error)  # the next write raises it

        def give_back(connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> None:
            connection.execute(layout.sql(_GIVE_BACK), [values.escape(pipeline_id), self._owner])

        while not self._ended.wait(RENEW_SECONDS):
            self._with_each(renew)
        self._with_each(give_back)

    def _with_each(self, work: Callable[[PgConnection, StoreSchema, str], None]) -> None:
        def all_of_them(connection: PgConnection) -> None:
            for pipeline_id, layout in list(self._held.items()):
                with transaction(connection, _BEGIN):
                    work(connection, layout, pipeline_id)

        with suppress(StoreError, Stopped):  # the server is away: the next turn, or the end of the lease, mends it
            self._link.run("renewing the leases", all_of_them)

    def _holder(self, connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> str | None:
        row = connection.execute(layout.sql(_HOLDER), [values.escape(pipeline_id)]).fetchone()
        return None if row is None else str(row[0])
