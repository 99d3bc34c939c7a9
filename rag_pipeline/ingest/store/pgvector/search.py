"""Searches the PostgreSQL store: by words, file name and vector, in one snapshot, with bounded cost."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from psycopg import sql

from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.filters import as_like, patterns
from rag_pipeline.ingest.store.fusion import CANDIDATES, FORM_WEIGHT, ChunkKey, add_names, rank
from rag_pipeline.ingest.store.pgvector import values
from rag_pipeline.ingest.store.pgvector.connection_pool import PgConnection, transaction
from rag_pipeline.ingest.store.pgvector.schema import StoreSchema
from rag_pipeline.ingest.store.pgvector.term_vectors import RANK_THRESHOLDS, as_lexeme
from rag_pipeline.ingest.terms.analyzer import QueryTerms
from rag_pipeline.ingest.types import SearchFilter, SearchFloor, SearchHit

if TYPE_CHECKING:
    from rag_pipeline.ingest.types import Vectors

EXACT_BYTES = 64 << 20
"""In tables up to this size every vector is compared: it takes tens of milliseconds, and misses no neighbour."""

MATCHES_PER_WORD = 10_000
"""A word in more chunks than this says little; chunks beyond this number must match other words."""

_NAME = -1  # stands for a chunk's number where a row is about the file's name

_BEGIN: LiteralString = """
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL statement_timeout = '30s'; SET LOCAL work_mem = '16MB'; SET LOCAL hnsw.iterative_scan = strict_order
"""
_SETTINGS: LiteralString = """
SELECT set_config('hnsw.ef_search', %(breadth)s, true), pg_table_size(%(chunks)s::regclass)
"""
_COUNTS: LiteralString = """
SELECT (SELECT count(*) FROM {schema}.chunks) + (SELECT count(*) FROM {schema}.files),
    (SELECT avg(length) FROM {schema}.chunks)
"""
# Counting a large table would take longer than the search.
_ESTIMATES: LiteralString = """
SELECT (SELECT sum(reltuples) FROM pg_class WHERE oid IN (%(chunks)s::regclass, %(files)s::regclass)),
    (SELECT avg(length) FROM (SELECT length FROM {schema}.chunks LIMIT 1000) AS part)
"""
# BM25 with its usual constants. ts_rank alone does not weigh rare words higher, but tells how often a word is repeated.
_BY_WORDS: LiteralString = """
WITH asked AS MATERIALIZED (
    SELECT place AS word, given.word::tsquery AS query, weight
    FROM unnest(%(words)s::text[], %(weights)s::float8[]) WITH ORDINALITY AS given (word, weight, place)
), found AS MATERIALIZED (
    SELECT word, weight, file, number, repeated, length FROM asked CROSS JOIN LATERAL (
        SELECT file, number, width_bucket(ts_rank(words, query)::float8, %(thresholds)s::float8[]) AS repeated,
            coalesce(length, length(words)) AS length
        FROM {schema}.chunks WHERE words @@ query LIMIT %(most)s
    ) AS matching
    UNION ALL
    SELECT word, weight, file, -1, 1, length FROM asked CROSS JOIN LATERAL (
        SELECT key AS file, length(words) AS length FROM {schema}.files WHERE words @@ query LIMIT %(most)s
    ) AS named
), weights AS (
    SELECT word, ln(1 + (greatest(%(total)s, count(*)) - count(*) + 0.5) / (count(*) + 0.5))::float8 AS rarity
    FROM found GROUP BY word
), best AS (
    SELECT file, number, round(sum(
        weight * rarity * repeated * 2.2 / (repeated + 1.2 * (0.25 + 0.75 * length / %(average)s::float8))
    )::numeric, 9)::float8 AS score
    FROM found JOIN weights USING (word) WHERE {filter} GROUP BY file, number
), ordered AS (
    SELECT *, row_number() OVER (PARTITION BY number = -1 ORDER BY score DESC, file, number) AS rank FROM best
)
SELECT score, pipeline_id, file_id, number, file FROM ordered JOIN {schema}.files ON key = file
WHERE rank <= %(limit)s OR (file, number) IN (
    SELECT * FROM unnest(%(near_files)s::uuid[], %(near_numbers)s::integer[])
)
"""
_BY_VECTOR: LiteralString = """
WITH best AS (
    SELECT embedding {distance} %(vector)s::{vector} AS badness, file, number FROM {schema}.chunks WHERE {filter}
    ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
# The index has the vectors in half precision only, so it is asked for twice as many.
_BY_VECTOR_INDEXED: LiteralString = """
WITH near AS MATERIALIZED (
    SELECT embedding, file, number FROM {schema}.chunks WHERE {filter}
    ORDER BY embedding::{halfvec}({dimensions}) {distance} %(vector)s::{vector}::{halfvec}({dimensions})
    LIMIT 2 * %(limit)s
), best AS (
    SELECT embedding {distance} %(vector)s::{vector} AS badness, file, number FROM near
    ORDER BY badness, file, number LIMIT %(limit)s
)
SELECT badness, pipeline_id, file_id, number, file FROM best JOIN {schema}.files ON key = file
"""
_DISTANCES: LiteralString = """
SELECT embedding {distance} %(vector)s::{vector}, file, number
FROM {schema}.chunks JOIN unnest(%(files)s::uuid[], %(numbers)s::integer[]) AS wanted (file, number)
    USING (file, number)
"""
_LIKENESS: LiteralString = """
WITH best AS MATERIALIZED (
    SELECT {types}.avg(embedding) AS mean
    FROM {schema}.chunks JOIN unnest(%(best_files)s::uuid[], %(best_numbers)s::integer[]) AS wanted (file, number)
        USING (file, number)
)
SELECT embedding {distance} mean, file, number
FROM best, {schema}.chunks JOIN unnest(%(files)s::uuid[], %(numbers)s::integer[]) AS wanted (file, number)
    USING (file, number)
"""
_HITS: LiteralString = """
SELECT file_id, name, uri, place, text, pipeline_id, mime_type
FROM unnest(%(files)s::uuid[], %(numbers)s::integer[]) WITH ORDINALITY AS hit (file, number, rank)
JOIN {schema}.chunks USING (file, number) JOIN {schema}.files ON key = file ORDER BY rank
"""


class Question(NamedTuple):
    """What is searched: terms and vector, in some files, down to the lowest scores."""

    terms: QueryTerms
    vector: Vectors
    limit: int
    only: SearchFilter
    floor: SearchFloor


def search(connection: PgConnection, schema: StoreSchema, question: Question) -> list[SearchHit]:
    """Return the best chunks, best first, from one snapshot."""
    with transaction(connection, _BEGIN):
        return _Search(connection, schema, question).run()


class _Search:
    """The steps of one search, in an open transaction."""

    def __init__(self, connection: PgConnection, schema: StoreSchema, question: Question) -> None:
        self._connection = connection
        self._schema = schema
        self._question = question
        self._keys: dict[ChunkKey, uuid.UUID] = {}
        self._most = max(CANDIDATES, 4 * question.limit)
        self._filter, self._filter_values = file_condition(schema, question.only)

    def run(self) -> list[SearchHit]:
        size = self._prepare(breadth=2 * self._most)
        vectors = self._by_vector(size)
        words, names = self._by_words(size, vectors)
        totals = add_names(words, names, vectors)
        vectors |= self._cosines([key for key in totals if key not in vectors])
        totals = {key: score for key, score in totals.items() if key in vectors}
        ranked = rank(
            totals, vectors, lambda best: self._likeness(best, vectors), self._question.floor, self._question.limit
        )
        parameters = {"files": [self._keys[hit.key] for hit in ranked], "numbers": [hit.key[2] for hit in ranked]}
        rows = self._connection.execute(self._schema.sql(_HITS), parameters).fetchall()
        return [
            SearchHit(
                text, unescape(file_id), unescape(name), unescape(uri), place, hit.score, hit.words, hit.vector,
                unescape(pipeline_id), mime_type,
            )
            for hit, (file_id, name, uri, place, text, pipeline_id, mime_type) in zip(ranked, rows, strict=True)
        ]  # fmt: skip

    def _prepare(self, *, breadth: int) -> int:
        """Set how many candidates the index returns; return the size of the table in bytes."""
        maximum = 1000  # of pgvector
        settings = {"breadth": str(min(maximum, breadth)), "chunks": f"{self._schema.schema}.chunks"}
        row = self._connection.execute(_SETTINGS, settings).fetchone()
        assert row is not None
        size: int = row[-1]
        return size

    def _by_vector(self, size: int) -> dict[ChunkKey, float]:
        statement = _BY_VECTOR_INDEXED if self._schema.indexed and size > EXACT_BYTES else _BY_VECTOR
        parameters = {"vector": values.as_vector(self._question.vector), "limit": self._most, **self._filter_values}
        rows = self._connection.execute(self._schema.sql(statement, filter=self._filter), parameters).fetchall()
        return {self._key(row): _cosine(row[0]) for row in rows}

    def _by_words(
        self, size: int, near: dict[ChunkKey, float]
    ) -> tuple[dict[ChunkKey, float], dict[tuple[str, str], float]]:
        """Return the scores of the best chunks and of those that are near, and of the files with the best names."""
        terms = self._question.terms
        if not terms.words or not self._schema.has_terms:
            return {}, {}
        total, average = self._statistics(size)
        parameters = {
            "words": [as_lexeme(term) for term in (*terms.words, *terms.forms)],
            "weights": [1.0] * len(terms.words) + [FORM_WEIGHT] * len(terms.forms),
            "thresholds": RANK_THRESHOLDS,
            "most": MATCHES_PER_WORD,
            "total": total,
            "average": average,
            "limit": self._most,
            "near_files": [self._keys[key] for key in near],
            "near_numbers": [key[2] for key in near],
            **self._filter_values,
        }
        rows = self._connection.execute(self._schema.sql(_BY_WORDS, filter=self._filter), parameters).fetchall()
        words = {self._key(row): float(row[0]) for row in rows if row[3] != _NAME}
        names = {(row[1], row[2]): float(row[0]) for row in rows if row[3] == _NAME}
        for row in rows:
            if row[3] == _NAME:
                self._keys[row[1], row[2], 0] = row[4]  # its first chunk may stand for the file
        return words, names

    def _statistics(self, size: int) -> tuple[int, float]:
        """Return the number of chunks and names, and the average number of terms in a chunk."""
        schema = self._schema.schema
        parameters = {"chunks": f"{schema}.chunks", "files": f"{schema}.files"}
        estimated = size > EXACT_BYTES
        row = self._connection.execute(self._schema.sql(_ESTIMATES if estimated else _COUNTS), parameters).fetchone()
        total, average = row if row is not None else (0, None)
        return max(0, int(total or 0)), float(average or 1.0)

    def _cosines(self, keys: list[ChunkKey]) -> dict[ChunkKey, float]:
        if not keys:
            return {}
        by_row = {(self._keys[key], key[2]): key for key in keys}
        parameters = {
            "vector": values.as_vector(self._question.vector),
            "files": [file for file, _ in by_row],
            "numbers": [number for _, number in by_row],
        }
        rows = self._connection.execute(self._schema.sql(_DISTANCES), parameters).fetchall()
        return {by_row[file, number]: _cosine(distance) for distance, file, number in rows}

    def _likeness(self, best: Sequence[ChunkKey], candidates: Iterable[ChunkKey]) -> dict[ChunkKey, float]:
        """Return the cosine of each candidate with the mean vector of the best ones."""
        by_row = {(self._keys[key], key[2]): key for key in candidates}
        parameters = {
            "best_files": [self._keys[key] for key in best],
            "best_numbers": [key[2] for key in best],
            "files": [file for file, _ in by_row],
            "numbers": [number for _, number in by_row],
        }
        rows = self._connection.execute(self._schema.sql(_LIKENESS), parameters).fetchall()
        return {by_row[file, number]: _cosine(distance) for distance, file, number in rows}

    def _key(self, row: tuple[Any, ...]) -> ChunkKey:
        _, pipeline_id, file_id, number, file = row
        key = (pipeline_id, file_id, number)
        self._keys[key] = file
        return key


def file_condition(schema: StoreSchema, only: SearchFilter) -> tuple[sql.Composable, dict[str, object]]:
    """Return the condition on the column ``file`` of chunks for a filter, and its parameters."""
    paths, mime_types, names = patterns(only)
    conditions: list[LiteralString] = []
    parameters: dict[str, object] = {}
    if only.pipelines is not None:
        conditions.append("pipeline_id = ANY(%(only_pipelines)s)")
        parameters["only_pipelines"] = [values.escape(pipeline_id) for pipeline_id in only.pipelines]
    if paths:
        conditions.append("(file_id LIKE ANY(%(only_paths)s) OR name LIKE ANY(%(only_paths)s))")
        parameters["only_paths"] = [as_like(values.escape(path)) for path in paths]
    if mime_types or names:
        conditions.append("(lower(mime_type) LIKE ANY(%(only_types)s) OR lower(name) LIKE ANY(%(only_names)s))")
        parameters["only_types"] = [as_like(mime_type) for mime_type in mime_types]
        parameters["only_names"] = [as_like(values.escape(name)) for name in names]
    if not conditions:
        return sql.SQL("true"), {}
    files: LiteralString = "file IN (SELECT key FROM {schema}.files WHERE "
    return schema.sql(files) + sql.SQL(" AND ").join(map(sql.SQL, conditions)) + sql.SQL(")"), parameters


def _cosine(distance: float) -> float:
    return 0.0 if math.isnan(distance) else max(-1.0, min(1.0, 1.0 - distance))
