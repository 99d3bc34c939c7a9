"""Searches the PostgreSQL store: the best chunks by words and by vector, in one snapshot, with bounded cost."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, LiteralString

from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.fusion import ChunkKey, fuse
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import PgConnection, transaction
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.store.pgvector.words import query_words
from rag_pipeline.ingest.types import SearchHit

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

CANDIDATES = 50
EXACT_BYTES = 64 << 20
"""In tables up to this size every vector is compared: it takes tens of milliseconds, and misses no neighbour."""

MATCHES_PER_WORD = 10_000
"""A word in more chunks than this says little; chunks beyond this number must match other words."""

_QUESTION_CHARACTERS = 2_000

_BEGIN: LiteralString = """
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL statement_timeout = '30s'; SET LOCAL work_mem = '16MB'; SET LOCAL hnsw.iterative_scan = strict_order
"""
_SETTINGS: LiteralString = """
SELECT set_config('hnsw.ef_search', %(breadth)s, true), pg_table_size(%(chunks)s::regclass)
"""
# As in BM25, rare words and short chunks weigh more, and repetitions in a chunk add less and less (in ts_rank).
_BY_WORDS: LiteralString = """
WITH asked AS MATERIALIZED (
    SELECT min(place) AS word, query
    FROM unnest(%(words)s::text[]) WITH ORDINALITY AS given (word, place),
        plainto_tsquery('pg_catalog.english', given.word) AS query
    WHERE numnode(query) > 0 GROUP BY query
), found AS MATERIALIZED (
    SELECT word, file, number, rank FROM asked CROSS JOIN LATERAL (
        SELECT file, number, ts_rank(words, query) / (1 + length(words) / 200.0) AS rank
        FROM {schema}.chunks WHERE words @@ query LIMIT %(most)s
    ) AS matching
), weights AS (
    SELECT word, ln(1 + sum(count(*)) OVER () / count(*)) AS weight FROM found GROUP BY word
), best AS (
    SELECT -round(sum(rank * weight::float8)::numeric, 9) AS badness, file, number
    FROM found JOIN weights USING (word) GROUP BY file, number ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
_BY_VECTOR: LiteralString = """
WITH best AS (
    SELECT embedding {distance} %(vector)s::{vector} AS badness, file, number FROM {schema}.chunks
    ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
# The index has the vectors in half precision only, so it is asked for twice as many.
_BY_VECTOR_INDEXED: LiteralString = """
WITH near AS MATERIALIZED (
    SELECT embedding, file, number FROM {schema}.chunks
    ORDER BY embedding::{halfvec}({dimensions}) {distance} %(vector)s::{vector}::{halfvec}({dimensions})
    LIMIT 2 * %(limit)s
), best AS (
    SELECT embedding {distance} %(vector)s::{vector} AS badness, file, number FROM near
    ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
_HITS: LiteralString = """
SELECT file_id, name, uri, place, text
FROM unnest(%(files)s::uuid[], %(numbers)s::integer[]) WITH ORDINALITY AS hit (file, number, rank)
JOIN {schema}.chunks USING (file, number) JOIN {schema}.files ON key = file ORDER BY rank
"""


def search(
    connection: PgConnection, schema: StoreSchema, question: str, vector: Vectors, limit: int
) -> list[SearchHit]:
    """Return the best chunks, best first, from one snapshot."""
    candidates = max(CANDIDATES, 4 * limit)
    file_keys: dict[ChunkKey, uuid.UUID] = {}
    with transaction(connection, _BEGIN):
        size = _prepare(connection, schema, breadth=2 * candidates)
        by_vector = _BY_VECTOR_INDEXED if schema.indexed and size > EXACT_BYTES else _BY_VECTOR
        by_words_parameters = {
            "words": query_words(question[:_QUESTION_CHARACTERS]),
            "most": MATCHES_PER_WORD,
            "limit": candidates,
        }
        by_vector_parameters = {"vector": values.as_vector(vector), "limit": candidates}
        word_rows = connection.execute(schema.sql(_BY_WORDS), by_words_parameters).fetchall()
        vector_rows = connection.execute(schema.sql(by_vector), by_vector_parameters).fetchall()
        scores = fuse([_ranked(word_rows, file_keys), _ranked(vector_rows, file_keys)])
        best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
        hit_parameters = {"files": [file_keys[key] for key in best], "numbers": [key[2] for key in best]}
        hits = connection.execute(schema.sql(_HITS), hit_parameters).fetchall()
    return [
        SearchHit(text, unescape(file_id), unescape(name), unescape(uri), place, scores[key])
        for key, (file_id, name, uri, place, text) in zip(best, hits, strict=True)
    ]


def _prepare(connection: PgConnection, schema: StoreSchema, *, breadth: int) -> int:
    """Set how many candidates the index returns; return the size of the table in bytes."""
    maximum = 1000  # of pgvector
    settings = {"breadth": str(min(maximum, breadth)), "chunks": f"{schema.schema}.chunks"}
    row = connection.execute(_SETTINGS, settings).fetchone()
    assert row is not None
    size: int = row[-1]
    return size


def _ranked(rows: list[tuple[Any, ...]], file_keys: dict[ChunkKey, uuid.UUID]) -> list[ChunkKey]:
    """Return the ranked keys, equal ranks ordered by file and number; add each chunk's file key to ``file_keys``."""
    ordered = sorted(rows, key=lambda row: row[:4])
    keys = [(pipeline_id, file_id, number) for _, pipeline_id, file_id, number, _ in ordered]
    file_keys.update(zip(keys, (row[4] for row in ordered), strict=True))
    return keys
