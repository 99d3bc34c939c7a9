"""A search: the best chunks by words and by meaning, from one snapshot, in a bounded number of steps and rows."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, LiteralString

from rag_pipeline.ingest.store.fusion import fuse
from rag_pipeline.ingest.store.lance import rows
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import PgConnection, transaction
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.store.pgvector.words import query_words
from rag_pipeline.ingest.types import SearchHit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

CANDIDATES = 50
EXACT_BYTES = 64 << 20
"""Up to this size of the table every vector is compared: tens of milliseconds, and no neighbour is missed."""

MATCHES_PER_WORD = 10_000
"""A word that stands in more chunks than this says little; the chunks beyond are looked for by the other words."""

_QUESTION_CHARACTERS = 2_000
_Key = tuple[str, str, int]  # pipeline_id and file_id as they are stored, number

_BEGIN: LiteralString = """
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL statement_timeout = '30s'; SET LOCAL work_mem = '16MB'; SET LOCAL hnsw.iterative_scan = strict_order
"""
_SETTINGS: LiteralString = """
SELECT set_config('hnsw.ef_search', %(breadth)s, true), pg_table_size(%(chunks)s::regclass)
"""
# As in BM25: a word weighs more the fewer chunks have it, and a chunk the shorter it is; to stand there more often
# helps ever less (in ts_rank).
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
_BY_MEANING: LiteralString = """
WITH best AS (
    SELECT embedding {distance} %(vector)s::{vector} AS badness, file, number FROM {schema}.chunks
    ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
# Twice as many from the index, which knows the vectors in half precision only.
_BY_MEANING_INDEXED: LiteralString = """
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
    connection: PgConnection, layout: StoreSchema, question: str, vector: Vectors, limit: int
) -> list[SearchHit]:
    """Return the best chunks, best first, as they were at one moment."""
    candidates = max(CANDIDATES, 4 * limit)
    found: dict[_Key, uuid.UUID] = {}
    with transaction(connection, _BEGIN):
        size = _prepare(connection, layout, breadth=2 * candidates)
        by_meaning = _BY_MEANING_INDEXED if layout.indexed and size > EXACT_BYTES else _BY_MEANING
        asked = {"words": query_words(question[:_QUESTION_CHARACTERS]), "most": MATCHES_PER_WORD, "limit": candidates}
        near = {"vector": values.as_vector(vector), "limit": candidates}
        rankings = [
            _ranked(connection.execute(layout.sql(_BY_WORDS), asked).fetchall(), found) if asked["words"] else [],
            _ranked(connection.execute(layout.sql(by_meaning), near).fetchall(), found),
        ]
        scores = fuse(rankings)
        best = sorted(scores, key=lambda key: (-scores[key], key))[:limit]
        wanted = {"files": [found[key] for key in best], "numbers": [key[2] for key in best]}
        hits = connection.execute(layout.sql(_HITS), wanted).fetchall()
    return [
        SearchHit(text, rows.unescape(file_id), rows.unescape(name), rows.unescape(uri), place, scores[key])
        for key, (file_id, name, uri, place, text) in zip(best, hits, strict=True)
    ]


def _prepare(connection: PgConnection, layout: StoreSchema, *, breadth: int) -> int:
    """Set how far the index is to look; return the size of the table in bytes."""
    most = 1000  # that pgvector takes
    settings = {"breadth": str(min(most, breadth)), "chunks": f"{layout.schema}.chunks"}
    row = connection.execute(_SETTINGS, settings).fetchone()
    assert row is not None
    size: int = row[-1]
    return size


def _ranked(ranked: list[tuple[Any, ...]], found: dict[_Key, uuid.UUID]) -> list[_Key]:
    """Return the keys in their order, equals by file and place; note which file each is of."""
    ordered = sorted(ranked, key=lambda row: row[:4])
    keys = [(pipeline_id, file_id, number) for _, pipeline_id, file_id, number, _ in ordered]
    found.update(zip(keys, (row[4] for row in ordered), strict=True))
    return keys
