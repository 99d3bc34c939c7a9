"""The store's tables: created once, checked whenever a store is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import LiteralString

from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.postgres_address import DEFAULT_SCHEMA, PostgresAddress
from rag_pipeline.ingest.store.pgvector.connection_pool import PgConnection, transaction

FORMAT = 3
"""Format of the tables. A version of the package that does not know a format rejects it."""

READ_FORMATS = (1, 2, 3)
"""Format 2 has an index on the file ids, and moved files, whose key is not derived from their id.

In format 3 the words are terms (``ingest/terms``), those of file names too. ``length`` is the number of a chunk's
terms, null in rows of older formats whose words are not indexed again yet.
"""
FORMAT_WITH_TERMS = 3

OLDEST_PGVECTOR = (0, 8)  # the first version with iterative index scans, which skip replaced rows
EXTENSION = "vector"
MAX_DIMENSIONS = 16_000
MAX_INDEXED_DIMENSIONS = 4_000

# One advisory lock for all stores of a database, because the extension is created once.
_CREATION_LOCK = 0x7261675F70697065
_BEGIN: LiteralString = "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '120s'"

_TABLES = """
CREATE TABLE {schema}.store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL, model_id text NOT NULL,
    dimensions integer NOT NULL, made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE {schema}.files (
    key uuid PRIMARY KEY, pipeline_id text NOT NULL, file_id text NOT NULL, name text NOT NULL, uri text NOT NULL,
    content_hash text NOT NULL, size bigint NOT NULL, mime_type text, modified_at double precision NOT NULL,
    words tsvector
);
CREATE INDEX files_of_pipeline ON {schema}.files (hashtextextended(pipeline_id, 0));
CREATE INDEX files_by_id ON {schema}.files (hashtextextended(file_id, 0));
CREATE TABLE {schema}.chunks (
    file uuid NOT NULL REFERENCES {schema}.files ON DELETE CASCADE, number integer NOT NULL, place text NOT NULL,
    text text NOT NULL, words tsvector NOT NULL, embedding {vector}({dimensions}) NOT NULL, length integer,
    PRIMARY KEY (file, number)
);
ALTER TABLE {schema}.chunks ALTER words SET STORAGE MAIN, ALTER embedding SET STORAGE MAIN;
CREATE INDEX chunks_words ON {schema}.chunks USING gin (words);
CREATE INDEX files_words ON {schema}.files USING gin (words)
"""
# In stores of older versions the first writer creates it; readers do not need it.
_OWNERS = """
CREATE TABLE {schema}.owners (pipeline_id text PRIMARY KEY, owner text NOT NULL, until timestamptz NOT NULL)
"""
_TO_FORMAT_3: LiteralString = """
CREATE INDEX IF NOT EXISTS files_by_id ON {schema}.files (hashtextextended(file_id, 0));
ALTER TABLE {schema}.files ADD COLUMN IF NOT EXISTS words tsvector;
ALTER TABLE {schema}.chunks ADD COLUMN IF NOT EXISTS length integer;
CREATE INDEX IF NOT EXISTS files_words ON {schema}.files USING gin (words);
UPDATE {schema}.store SET format = 3
"""
# Half precision: half the memory, twice the dimensions. The candidates are then compared in full precision.
_INDEX = """
CREATE INDEX chunks_embedding ON {schema}.chunks
USING hnsw ((embedding::{halfvec}({dimensions})) {types}.halfvec_cosine_ops)
"""


@dataclass(frozen=True, slots=True)
class StoreSchema:
    """Names in a store's SQL: its schema, the schema of pgvector's types, and the OID of the vector type.

    ``has_terms`` is False in stores of older formats that no writer has opened yet.
    """

    schema: str
    types: str
    vector_oid: int
    dimensions: int
    has_terms: bool = True

    def sql(self, statement: LiteralString, **others: sql.Composable) -> sql.Composed:
        """Return the statement with its placeholders replaced, such as ``{schema}`` and ``{vector}``."""
        types = sql.Identifier(self.types)
        return sql.SQL(statement).format(
            schema=sql.Identifier(self.schema),
            types=types,
            vector=sql.SQL("{}.vector").format(types),
            halfvec=sql.SQL("{}.halfvec").format(types),
            distance=sql.SQL("OPERATOR({}.<=>)").format(types),
            dimensions=sql.Literal(self.dimensions),
            **others,
        )

    @property
    def indexed(self) -> bool:
        """Whether the vectors have an index; longer vectors are compared one by one."""
        return self.dimensions <= MAX_INDEXED_DIMENSIONS


def find_store(
    connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int
) -> StoreSchema | None:
    """Return the store's schema, None if there is no store; raises StoreError for another model or a newer format."""
    if not table_exists(connection, address.schema, "store"):
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
    schema = _read_schema(connection, address, dimensions)
    return replace(schema, has_terms=found_format >= FORMAT_WITH_TERMS)


def create_store(connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int) -> StoreSchema:
    """Return the store's schema, created if missing, in one transaction; several processes may do so at once."""
    if dimensions > MAX_DIMENSIONS:
        raise StoreError(f"{address}: pgvector holds {MAX_DIMENSIONS:,} dimensions at most, not {dimensions:,}")
    with transaction(connection, _BEGIN):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATION_LOCK])
        schema = find_store(connection, address, model_id, dimensions)
        if schema is None:
            schema = _create_all(connection, address, model_id, dimensions)
        if not table_exists(connection, address.schema, "owners"):
            connection.execute(schema.sql(_OWNERS))
        _upgrade(connection, address, schema)
    return replace(schema, has_terms=True)


def _upgrade(connection: PgConnection, address: PostgresAddress, schema: StoreSchema) -> None:
    """Upgrade a store of an older format; raises StoreError that says what the owner must run."""
    row = connection.execute(schema.sql("SELECT format FROM {schema}.store")).fetchone()
    if row is None or row[0] == FORMAT:
        return
    try:
        connection.execute(schema.sql(_TO_FORMAT_3))
    except InsufficientPrivilege:
        statements = " ".join(sql.SQL(_TO_FORMAT_3).format(schema=sql.Identifier(address.schema)).as_string().split())
        raise StoreError(
            f"{address}: the store has format {row[0]}, and only its owner can upgrade it to format {FORMAT}: let the "
            f"owner run {statements}"
        ) from None


def table_exists(connection: PgConnection, schema_name: str, table: str) -> bool:
    """Return whether the table exists."""
    # to_regclass has a cache that misses tables created while this session waited for a lock.
    statement = "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s"
    return connection.execute(statement, [schema_name, table]).fetchone() is not None


def _create_all(connection: PgConnection, address: PostgresAddress, model_id: str, dimensions: int) -> StoreSchema:
    _check_encoding(connection, address)
    _create_extension(connection, address)
    # If an administrator created the schema, the user needs no right to do so.
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [address.schema]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(address.schema)))
    schema = _read_schema(connection, address, dimensions)
    connection.execute(schema.sql(_TABLES))
    if schema.indexed:
        connection.execute(schema.sql(_INDEX))
    connection.execute(
        schema.sql("INSERT INTO {schema}.store (format, model_id, dimensions) VALUES (%s, %s, %s)"),
        [FORMAT, model_id, dimensions],
    )
    return schema


def _read_schema(connection: PgConnection, address: PostgresAddress, dimensions: int) -> StoreSchema:
    row = connection.execute(
        "SELECT e.extversion, n.nspname, t.oid FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector' WHERE e.extname = 'vector'"
    ).fetchone()
    if row is None:
        raise StoreError(
            f"{address}: the extension vector was removed, and the store's vectors with it: {_drop(address)}"
        )
    version, schema, oid = row
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST_PGVECTOR:
        oldest = ".".join(map(str, OLDEST_PGVECTOR))
        raise StoreError(
            f"{address}: has pgvector {version}, but {oldest} is needed: update it on the server, and run in the "
            "database: ALTER EXTENSION vector UPDATE"
        )
    return StoreSchema(address.schema, schema, oid, dimensions)


def _check_encoding(connection: PgConnection, address: PostgresAddress) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"{address}: the database's encoding is {encoding}, but UTF8 is needed: create another "
            "(CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)"
        )


def _create_extension(connection: PgConnection, address: PostgresAddress) -> None:
    """Create the extension; raises StoreError that says what to install, or what an administrator must run."""
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
