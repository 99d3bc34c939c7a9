"""The store's tables: made once, checked by everyone who opens them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import DEFAULT_SCHEMA, PostgresAddress
from rag_pipeline.ingest.store.pgvector.connection_pool import PgConnection, transaction

FORMAT = 2
"""Of the tables. A version of the package that reads another format refuses it by name."""

READ_FORMATS = (1, 2)
"""Format 2 has an index on the files' ids, and files that were moved: their key is not the one of their id."""

OLDEST_PGVECTOR = (0, 8)  # the first that scans its index on, when rows that were replaced took the best places
EXTENSION = "vector"
MOST_DIMENSIONS = 16_000
MOST_INDEXED_DIMENSIONS = 4_000

# One number for all stores of a database: pgvector itself is made in it once.
_MAKING = 0x7261675F70697065
_BEGIN: LiteralString = "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '120s'"

_TABLES = """
CREATE TABLE {schema}.store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL, model_id text NOT NULL,
    dimensions integer NOT NULL, made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {schema}.files (
    key uuid PRIMARY KEY, pipeline_id text NOT NULL, file_id text NOT NULL, name text NOT NULL, uri text NOT NULL,
    content_hash text NOT NULL, size bigint NOT NULL, mime_type text, modified_at double precision NOT NULL
);
CREATE INDEX files_of_pipeline ON {schema}.files (hashtextextended(pipeline_id, 0));
CREATE INDEX files_by_id ON {schema}.files (hashtextextended(file_id, 0));
CREATE TABLE {schema}.chunks (
    file uuid NOT NULL REFERENCES {schema}.files ON DELETE CASCADE, number integer NOT NULL, place text NOT NULL,
    text text NOT NULL, words tsvector NOT NULL, embedding {vector}({dimensions}) NOT NULL, PRIMARY KEY (file, number)
);
ALTER TABLE {schema}.chunks ALTER words SET STORAGE MAIN, ALTER embedding SET STORAGE MAIN;
CREATE INDEX chunks_words ON {schema}.chunks USING gin (words)
"""
# Stores that older versions made get it with the first writer; those who only read need none.
_OWNERS = """
CREATE TABLE {schema}.owners (pipeline_id text PRIMARY KEY, owner text NOT NULL, until timestamptz NOT NULL)
"""
_TO_FORMAT_2: LiteralString = """
CREATE INDEX IF NOT EXISTS files_by_id ON {schema}.files (hashtextextended(file_id, 0));
UPDATE {schema}.store SET format = 2
"""
# Half precision: half the memory, twice the dimensions; the candidates it finds are compared in full precision.
_INDEX = """
CREATE INDEX chunks_embedding ON {schema}.chunks
USING hnsw ((embedding::{halfvec}({dimensions})) {types}.halfvec_cosine_ops)
"""


@dataclass(frozen=True, slots=True)
class StoreSchema:
    """What statements on a store need to know: its schema, pgvector's own schema, and the type's number."""

    schema: str
    types: str
    vector_oid: int
    dimensions: int

    def sql(self, statement: LiteralString) -> sql.Composed:
        """Return the statement with ``{schema}``, ``{vector}``, ``{halfvec}``, ``{dimensions}``, ``{distance}`` set."""
        types = sql.Identifier(self.types)
        return sql.SQL(statement).format(
            schema=sql.Identifier(self.schema),
            types=types,
            vector=sql.SQL("{}.vector").format(types),
            halfvec=sql.SQL("{}.halfvec").format(types),
            distance=sql.SQL("OPERATOR({}.<=>)").format(types),
            dimensions=sql.Literal(self.dimensions),
        )

    @property
    def indexed(self) -> bool:
        """Whether there is an index on the vectors: longer ones are compared one by one."""
        return self.dimensions <= MOST_INDEXED_DIMENSIONS


def find_store(
    connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int
) -> StoreSchema | None:
    """Return the store's layout, None if there is no store; raises StoreError if it is another model's, or newer."""
    if not _is_there(connection, address, "store"):
        return None
    read = sql.SQL("SELECT format, model_id, dimensions FROM {}.store").format(sql.Identifier(address.schema))
    stored = connection.execute(read).fetchone()
    if stored is None:
        raise StoreError(f"{address}: the table {address.schema}.store is empty: {_drop(address)}")
    found_format, found_model, found_dimensions = stored
    if found_format not in READ_FORMATS:
        age = "a newer version of rag-pipeline made it: install that" if found_format > FORMAT else _drop(address)
        raise StoreError(f"{address}: the store has format {found_format}, and this version reads {FORMAT}: {age}")
    if (found_model, found_dimensions) != (model_id, dimensions):
        raise StoreError(
            f"{address}: holds vectors of {found_model} ({found_dimensions} dimensions), not of {model_id} "
            f"({dimensions}); use that model, name another schema in RAG_STORE_URL (?schema=…), or {_drop(address)}"
        )
    return _layout(connection, address, dimensions)


def create_store(connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int) -> StoreSchema:
    """Return the store's layout, made if need be: all of it or, after a kill, nothing; several processes may try."""
    if dimensions > MOST_DIMENSIONS:
        raise StoreError(f"{address}: pgvector holds {MOST_DIMENSIONS:,} dimensions at most, not {dimensions:,}")
    with transaction(connection, _BEGIN):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING])
        layout = find_store(connection, address, model_id, dimensions)
        if layout is None:
            layout = _make_all(connection, address, model_id, dimensions)
        if not _is_there(connection, address, "owners"):
            connection.execute(layout.sql(_OWNERS))
        _bring_up_to_date(connection, address, layout)
    return layout


def _bring_up_to_date(connection: PgConnection, address: PostgresAddress, layout: StoreSchema) -> None:
    """Make a store of format 1 one of format 2; raises StoreError that says what to run, and as whom."""
    row = connection.execute(layout.sql("SELECT format FROM {schema}.store")).fetchone()
    if row is None or row[0] == FORMAT:
        return
    try:
        connection.execute(layout.sql(_TO_FORMAT_2))
    except InsufficientPrivilege:
        statements = " ".join(sql.SQL(_TO_FORMAT_2).format(schema=sql.Identifier(address.schema)).as_string().split())
        raise StoreError(
            f"{address}: the store has format 1, and its owner has to bring it to format {FORMAT}: let the owner run "
            f"{statements}"
        ) from None


def _is_there(connection: PgConnection, address: PostgresAddress, table: str) -> bool:
    # Not by to_regclass: its cache doesn't know what was made while a lock was waited for.
    statement = "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s"
    return connection.execute(statement, [address.schema, table]).fetchone() is not None


def _make_all(connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int) -> StoreSchema:
    _check_encoding(connection, address)
    _make_extension(connection, address)
    # One that an administrator made needs no right to make one.
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [address.schema]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(address.schema)))
    layout = _layout(connection, address, dimensions)
    connection.execute(layout.sql(_TABLES))
    if layout.indexed:
        connection.execute(layout.sql(_INDEX))
    connection.execute(
        layout.sql("INSERT INTO {schema}.store (format, model_id, dimensions) VALUES (%s, %s, %s)"),
        [FORMAT, model_id, dimensions],
    )
    return layout


def _layout(connection: PgConnection, address: PostgresAddress, dimensions: int) -> StoreSchema:
    row = connection.execute(
        "SELECT e.extversion, n.nspname, t.oid FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector' WHERE e.extname = 'vector'"
    ).fetchone()
    if row is None:
        raise StoreError(f"{address}: the extension vector is gone, and the store's vectors with it: {_drop(address)}")
    version, schema, oid = row
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST_PGVECTOR:
        oldest = ".".join(map(str, OLDEST_PGVECTOR))
        raise StoreError(
            f"{address}: has pgvector {version}, and {oldest} is needed: update it on the server, and run in the "
            "database: ALTER EXTENSION vector UPDATE"
        )
    return StoreSchema(address.schema, schema, oid, dimensions)


def _check_encoding(connection: PgConnection, address: PostgresAddress) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"{address}: the database's encoding is {encoding}, and UTF8 is needed: make another "
            "(CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)"
        )


def _make_extension(connection: PgConnection, address: PostgresAddress) -> None:
    """Make pgvector known to the database; raises StoreError saying what to install, or what to run, and as whom."""
    statement = "SELECT installed_version IS NOT NULL FROM pg_available_extensions WHERE name = %s"
    row = connection.execute(statement, [EXTENSION]).fetchone()
    if row is None:
        raise StoreError(
            f"{address}: the server has no pgvector: install it there (Debian: apt-get install "
            f"postgresql-{connection.info.server_version // 10_000}-pgvector)"
        )
    if row[0]:
        return
    try:
        connection.execute("CREATE EXTENSION vector")
    except InsufficientPrivilege:
        raise StoreError(
            f"{address}: the user may not create the extension vector: let an administrator run in this database: "
            "CREATE EXTENSION vector"
        ) from None


def _drop(address: PostgresAddress) -> str:
    schema = "" if address.schema == DEFAULT_SCHEMA else f" in schema {address.schema}"
    return f"remove it{schema} to embed everything again (DROP SCHEMA {address.schema} CASCADE)"
