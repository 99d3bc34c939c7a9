"""SQL statements of the PostgreSQL store, except searches and maintenance."""

from __future__ import annotations

from typing import LiteralString

# The timeouts limit how long a client that hangs in a transaction blocks writers of the same file.
BEGIN: LiteralString = """
BEGIN; SET LOCAL statement_timeout = '120s'; SET LOCAL lock_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
# Files are found by id, and a row keeps its key when its file is moved. So the key does not prevent two writers from
# inserting two rows for one file: they take a lock. Later statements in the transaction see the other's commit.
LOCK: LiteralString = "SELECT pg_advisory_xact_lock(%s, lock) FROM unnest(%s::integer[]) AS lock"
PUT_FILE: LiteralString = """
INSERT INTO {schema}.files (key, pipeline_id, file_id, name, uri, content_hash, size, mime_type, modified_at, words)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::tsvector)
ON CONFLICT (key) DO UPDATE SET (name, uri, content_hash, size, mime_type, modified_at, words) = (
    excluded.name, excluded.uri, excluded.content_hash, excluded.size, excluded.mime_type, excluded.modified_at,
    excluded.words
)
"""
DELETE_CHUNKS: LiteralString = "DELETE FROM {schema}.chunks WHERE file = %s"
PUT_CHUNKS: LiteralString = """
INSERT INTO {schema}.chunks (file, number, place, text, words, length, embedding)
SELECT %s, number, place, text, words::tsvector, length, embedding
FROM unnest(%s::integer[], %s::text[], %s::text[], %s::text[], %s::integer[], %b::{vector}[])
    AS chunk (number, place, text, words, length, embedding)
"""
STORED: LiteralString = """
SELECT file_id, key FROM {schema}.files
WHERE hashtextextended(file_id, 0) IN (SELECT hashtextextended(id, 0) FROM unnest(%s::text[]) AS id)
    AND file_id = ANY(%s::text[]) AND pipeline_id = %s
"""
MOVE: LiteralString = """
UPDATE {schema}.files AS file
SET (file_id, name, uri, content_hash, size, mime_type, modified_at, words) = (
    moved.file_id, moved.name, moved.uri, moved.content_hash, moved.size, moved.mime_type, moved.modified_at,
    moved.words::tsvector
)
FROM unnest(
    %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::float8[], %s::text[]
) AS moved (key, file_id, name, uri, content_hash, size, mime_type, modified_at, words)
WHERE file.key = moved.key
"""
COUNT_CHUNKS_OF: LiteralString = """
SELECT file, count(*) FROM {schema}.chunks WHERE file = ANY(%s::uuid[]) GROUP BY file
"""
DELETE_KEYS: LiteralString = "DELETE FROM {schema}.files WHERE key = ANY(%s::uuid[])"
DELETE: LiteralString = """
DELETE FROM {schema}.files
WHERE hashtextextended(file_id, 0) IN (SELECT hashtextextended(id, 0) FROM unnest(%s::text[]) AS id)
    AND file_id = ANY(%s::text[]) AND pipeline_id = %s
"""
RENAME: LiteralString = """
UPDATE {schema}.files SET name = %s, uri = %s, words = %s::tsvector
WHERE hashtextextended(file_id, 0) = hashtextextended(%s, 0) AND file_id = %s AND pipeline_id = %s
"""
COUNT_CHUNKS: LiteralString = "SELECT count(*) FROM {schema}.chunks WHERE file = %s"
COPY_CHUNKS: LiteralString = """
WITH part AS (
    SELECT * FROM {schema}.chunks WHERE file = %(source)s AND number > %(after)s ORDER BY number LIMIT %(most)s
), put AS (
    INSERT INTO {schema}.chunks (file, number, place, text, words, length, embedding)
    SELECT %(target)s, number, place, text, words, length, embedding FROM part
)
SELECT count(*), max(number) FROM part
"""
FILE: LiteralString = """
SELECT name, uri, content_hash, size, mime_type, modified_at FROM {schema}.files
WHERE hashtextextended(pipeline_id, 0) = hashtextextended(%(pipeline)s, 0) AND pipeline_id = %(pipeline)s
AND hashtextextended(file_id, 0) = hashtextextended(%(file)s, 0) AND file_id = %(file)s
"""
FILES: LiteralString = """
SELECT file_id, name, uri, content_hash, size, mime_type, modified_at FROM {schema}.files
WHERE hashtextextended(pipeline_id, 0) = hashtextextended(%s, 0) AND pipeline_id = %s
"""
# Rows of older formats, whose words are not terms yet.
OLD_FILES: LiteralString = "SELECT key, name FROM {schema}.files WHERE words IS NULL LIMIT %s"
PUT_FILE_WORDS: LiteralString = """
UPDATE {schema}.files AS file SET words = given.words::tsvector
FROM unnest(%s::uuid[], %s::text[]) AS given (key, words) WHERE file.key = given.key AND file.words IS NULL
"""
OLD_CHUNKS: LiteralString = "SELECT file, number, place, text FROM {schema}.chunks WHERE length IS NULL LIMIT %s"
PUT_CHUNK_WORDS: LiteralString = """
UPDATE {schema}.chunks AS chunk SET words = given.words::tsvector, length = given.length
FROM unnest(%s::uuid[], %s::integer[], %s::text[], %s::integer[]) AS given (file, number, words, length)
WHERE chunk.file = given.file AND chunk.number = given.number AND chunk.length IS NULL
"""
