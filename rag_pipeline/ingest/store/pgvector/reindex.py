"""Indexes the words of rows that an older version of the package has stored."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rag_pipeline.ingest.headings import heading_path
from rag_pipeline.ingest.postgres_address import PostgresAddress
from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.pgvector import statements
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool, PgConnection, transaction
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.store.pgvector.term_vectors import as_tsvector
from rag_pipeline.ingest.terms.analyzer import TermAnalyzer

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 500


def index_old_rows(pool: ConnectionPool, schema: StoreSchema, analyzer: TermAnalyzer, address: PostgresAddress) -> bool:
    """Index the words of all rows that have no terms yet, 500 in each transaction; return whether there were any.

    It can be interrupted at any time: the next call indexes the rest.
    """
    logged = False
    for step in (_index_files, _index_chunks):
        while pool.run("indexing the words of the store", _bound(step, schema, analyzer)):
            if not logged:
                logged = True
                logger.warning("%s: an older version made the store: its words are indexed again", address)
    return logged


_Step = Callable[[PgConnection, StoreSchema, TermAnalyzer], bool]


def _bound(step: _Step, schema: StoreSchema, analyzer: TermAnalyzer) -> Callable[[PgConnection], bool]:
    return lambda connection: step(connection, schema, analyzer)


def _index_files(connection: PgConnection, schema: StoreSchema, analyzer: TermAnalyzer) -> bool:
    with transaction(connection, statements.BEGIN):
        rows = connection.execute(schema.sql(statements.OLD_FILES), [ROWS_AT_ONCE]).fetchall()
        words = [as_tsvector(analyzer.index_terms(unescape(name))) for _, name in rows]
        connection.execute(schema.sql(statements.PUT_FILE_WORDS), [[key for key, _ in rows], words])
    return bool(rows)


def _index_chunks(connection: PgConnection, schema: StoreSchema, analyzer: TermAnalyzer) -> bool:
    with transaction(connection, statements.BEGIN):
        rows = connection.execute(schema.sql(statements.OLD_CHUNKS), [ROWS_AT_ONCE]).fetchall()
        terms = [analyzer.index_terms(f"{heading_path(place)}\n{text}") for _, _, place, text in rows]
        files, numbers = [row[0] for row in rows], [row[1] for row in rows]
        words, lengths = [as_tsvector(some) for some in terms], [len(some) for some in terms]
        connection.execute(schema.sql(statements.PUT_CHUNK_WORDS), [files, numbers, words, lengths])
    return bool(rows)
