"""Maintenance of the PostgreSQL store: statistics, consistency check, and removal of pipelines."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool, PgConnection
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema, table_exists
from rag_pipeline.ingest.types import StoredPipeline, StoreFault, StoreFaultKind

DROP_FILES_AT_ONCE = 500

_PIPELINES: LiteralString = """
SELECT file.pipeline_id, count(*), coalesce(sum(chunk.number), 0) FROM {schema}.files AS file
LEFT JOIN (SELECT file, count(*) AS number FROM {schema}.chunks GROUP BY file) AS chunk ON chunk.file = file.key
GROUP BY file.pipeline_id
"""
_HOLDERS: LiteralString = "SELECT pipeline_id, owner FROM {schema}.owners WHERE until > clock_timestamp()"
_DROP_SOME: LiteralString = """
DELETE FROM {schema}.files WHERE key IN (
    SELECT key FROM {schema}.files
    WHERE hashtextextended(pipeline_id, 0) = hashtextextended(%s, 0) AND pipeline_id = %s LIMIT %s
)
"""
# The foreign key and the column's type prevent chunks without a file and wrong vectors, unless somebody removes them.
# Only the writers' locks prevent two rows for one file: a moved file keeps its key, so the key is not derived from the
# id.
_FAULTS: LiteralString = """
SELECT file.pipeline_id, file.file_id, %s::text, max(chunk.number) + 1 - count(*)
FROM {schema}.files AS file JOIN {schema}.chunks AS chunk ON chunk.file = file.key
GROUP BY file.key HAVING count(*) <> max(chunk.number) + 1
UNION ALL
SELECT '', chunk.file::text, %s::text, count(*) FROM {schema}.chunks AS chunk
WHERE NOT EXISTS (SELECT FROM {schema}.files AS file WHERE file.key = chunk.file) GROUP BY chunk.file
UNION ALL
SELECT file.pipeline_id, file.file_id, %s::text, count(*)
FROM {schema}.files AS file JOIN {schema}.chunks AS chunk ON chunk.file = file.key
WHERE {types}.vector_dims(chunk.embedding) <> {dimensions} GROUP BY file.key
UNION ALL
SELECT pipeline_id, file_id, %s::text, count(*) FROM {schema}.files GROUP BY pipeline_id, file_id HAVING count(*) > 1
"""
_KINDS = (
    StoreFaultKind.MISSING_CHUNKS,
    StoreFaultKind.CHUNKS_WITHOUT_FILE,
    StoreFaultKind.WRONG_VECTORS,
    StoreFaultKind.SEVERAL_ROWS,
)


def read_model(address: PostgresAddress) -> tuple[str, int] | None:
    """Return the store's model and dimensions, None if there is no store; raises StoreError."""

    def work(connection: PgConnection) -> tuple[str, int] | None:
        if not table_exists(connection, address.schema, "store"):
            return None
        read = sql.SQL("SELECT model_id, dimensions FROM {}.store").format(sql.Identifier(address.schema))
        row = connection.execute(read).fetchone()
        if row is None:
            raise StoreError(f"{address}: the table {address.schema}.store is empty: the store can't be read")
        return str(row[0]), int(row[1])

    pool = ConnectionPool(address, reconnect_seconds=0.0)
    try:
        return pool.run("opening the vector store", work)
    finally:
        pool.close()


def pipelines(connection: PgConnection, schema: StoreSchema) -> dict[str, StoredPipeline]:
    """Return the number of files and chunks by pipeline id, and the holder of its lease."""
    holders: dict[str, str] = {}
    if table_exists(connection, schema.schema, "owners"):
        holders = {pipeline_id: unescape(owner) for pipeline_id, owner in connection.execute(schema.sql(_HOLDERS))}
    counted = dict.fromkeys(holders, (0, 0))
    counted |= {pipeline_id: (files, int(n)) for pipeline_id, files, n in connection.execute(schema.sql(_PIPELINES))}
    return {
        unescape(pipeline_id): StoredPipeline(files, chunks, None, holders.get(pipeline_id))
        for pipeline_id, (files, chunks) in sorted(counted.items())
    }


def drop_some(connection: PgConnection, schema: StoreSchema, pipeline_id: str) -> bool:
    """Delete some files of a pipeline with their chunks; return whether there may be more."""
    escaped = values.escape(pipeline_id)
    done = connection.execute(schema.sql(_DROP_SOME), [escaped, escaped, DROP_FILES_AT_ONCE])
    return done.rowcount == DROP_FILES_AT_ONCE


def faults(connection: PgConnection, schema: StoreSchema) -> list[StoreFault]:
    """Return inconsistent rows, see :class:`StoreFaultKind`; chunks without a file are named by the file's key."""
    found = connection.execute(schema.sql(_FAULTS), [kind.value for kind in _KINDS]).fetchall()
    store_faults = (
        StoreFault(unescape(pipeline_id), unescape(file_id), StoreFaultKind(kind), int(count))
        for pipeline_id, file_id, kind, count in found
    )
    return sorted(store_faults, key=lambda fault: (fault.pipeline_id, fault.file_id, fault.kind))


def tidy(connection: PgConnection, schema: StoreSchema) -> None:
    """Remove chunks without a file, then vacuum and analyze the tables.

    Autovacuum does the same by itself, later. For a user who does not own the tables, the server only warns.
    """
    connection.execute(
        schema.sql("DELETE FROM {schema}.chunks WHERE NOT EXISTS (SELECT FROM {schema}.files WHERE key = file)")
    )
    connection.execute(schema.sql("VACUUM (ANALYZE) {schema}.files, {schema}.chunks"))
