"""Values in PostgreSQL's binary format, checked by the server."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_pipeline.ingest.store.escaping import unescape
from rag_pipeline.ingest.store.pgvector.connection_pool import ConnectionPool
from rag_pipeline.ingest.store.pgvector.values import as_vector, as_vectors, clean, escape, file_key
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import vectors

NAMES = st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from("\udc80\ud800\ufdd0\0d0")))


@pytest.mark.parametrize("width", [1, 3, 384])
def test_the_server_reads_the_same_numbers(postgres: PostgresServer, width: int) -> None:
    made = vectors(3, width, width)
    [(oid,)] = postgres.execute("SELECT 'vector'::regtype::oid::integer")
    assert isinstance(oid, int)
    link = ConnectionPool(postgres.address())
    statement = "SELECT row::real[], one::real[] FROM unnest(%s::vector[]) AS a (row), (SELECT %s::vector) AS b (one)"
    found = link.run("asking", lambda c: c.execute(statement, [as_vectors(made, oid), as_vector(made[0])]).fetchall())
    link.close()
    for row, (read, one) in zip(made, found, strict=True):
        assert np.array_equal(np.array(read, np.float32), row)
        assert np.array_equal(np.array(one, np.float32), made[0])


def test_the_memory_order_of_vectors_does_not_matter() -> None:
    made = vectors(4, 1, 6)
    assert as_vectors(np.asfortranarray(made), 9) == as_vectors(made, 9)
    assert as_vector(made[:, 0]) == as_vector(made[:, 0].copy())


@given(NAMES)
def test_any_name_can_be_stored_and_read_back(name: str) -> None:
    escaped = escape(name)
    assert "\0" not in escaped
    escaped.encode("utf-8")
    assert unescape(escaped) == name


@given(NAMES)
def test_any_text_can_be_stored(text: str) -> None:
    assert "\0" not in clean(text)
    clean(text).encode("utf-8")


@given(NAMES, NAMES, NAMES, NAMES)
@example("a", "bc", "ab", "c")
@example("1", "1 b", "1", "1 b")
@example("", "0 a", "0 ", "a")
def test_different_files_have_different_keys(pipeline: str, file: str, other_pipeline: str, other_file: str) -> None:
    same = (pipeline, file) == (other_pipeline, other_file)
    assert (file_key(pipeline, file) == file_key(other_pipeline, other_file)) is same
