"""Looks through the tables of a store in PostgreSQL, and removes what nobody needs."""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool, PgConnection
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.types import StoredPipeline, StoreFault, StoreFaultKind

DROP_FILES_AT_ONCE = 500

_IS_THERE: LiteralString = "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s"
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
# The foreign key and the type of the column keep out chunks without a file and wrong vectors, until somebody takes them
# away. Only the writers' locks keep a file from having two rows: a row keeps its key when its file is moved, so the key
# does not follow from the id.
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
    """Return the model and the dimensions of the store there, None if there is no store; raises StoreError."""

    def work(connection: PgConnection) -> tuple[str, int] | None:
        if not _has_table(connection, address.schema, "store"):
            return None
        read = sql.SQL("SELECT model_id, dimensions FROM {}.store").format(sql.Identifier(address.schema))
        row = connection.execute(read).fetchone()
        if row is None:
            raise StoreError(f"{address}: the table {address.schema}.store is empty: the store can't be read")
        return str(row[0]), int(row[1])

    link = ConnectionPool(address, patience_seconds=0.0)
    try:
        return link.run("opening the vector store", work)
    finally:
        link.close()


def pipelines(connection: PgConnection, layout: StoreSchema) -> dict[str, StoredPipeline]:
    """Return the number of files and chunks by pipeline id, and who has the lease."""
    holders: dict[str, str] = {}
    if _has_table(connection, layout.schema, "owners"):
        holders = {pipeline_id: rows.unescape(who) for pipeline_id, who in connection.execute(layout.sql(_HOLDERS))}
    counted = dict.fromkeys(holders, (0, 0))
    counted |= {pipeline_id: (files, int(n)) for pipeline_id, files, n in connection.execute(layout.sql(_PIPELINES))}
    return {
        rows.unescape(pipeline_id): StoredPipeline(files, chunks, None, holders.get(pipeline_id))
        for pipeline_id, (files, chunks) in sorted(counted.items())
    }


def drop_some(connection: PgConnection, layout: StoreSchema, pipeline_id: str) -> bool:
    """Delete some files of a pipeline with their chunks; return whether there may be more."""
    escaped = values.escape(pipeline_id)
    done = connection.execute(layout.sql(_DROP_SOME), [escaped, escaped, DROP_FILES_AT_ONCE])
    return done.rowcount == DROP_FILES_AT_ONCE


def faults(connection: PgConnection, layout: StoreSchema) -> list[StoreFault]:
    """Return what should not be, see :class:`StoreFaultKind`; chunks without a file are named by the file's key."""
    found = connection.execute(layout.sql(_FAULTS), [kind.value for kind in _KINDS]).fetchall()
    made = (
        StoreFault(rows.unescape(pipeline_id), rows.unescape(file_id), StoreFaultKind(kind), int(count))
        for pipeline_id, file_id, kind, count in found
    )
    return sorted(made, key=lambda fault: (fault.pipeline_id, fault.file_id, fault.kind))


def tidy(connection: PgConnection, layout: StoreSchema) -> None:
    """Have the server free what was deleted, and count anew what its plans are made from.

    Autovacuum does the same by itself, later. A user who does not own the tables gets a warning and changes nothing.
    """
    connection.execute(
        layout.sql("DELETE FROM {schema}.chunks WHERE NOT EXISTS (SELECT FROM {schema}.files WHERE key = file)")
    )
    connection.execute(layout.sql("VACUUM (ANALYZE) {schema}.files, {schema}.chunks"))


def _has_table(connection: PgConnection, schema: str, table: str) -> bool:
    return connection.execute(_IS_THERE, [schema, table]).fetchone() is not None
