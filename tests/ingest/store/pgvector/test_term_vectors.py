"""Terms become lexemes unchanged, and the server tells how often each is repeated."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.store.pgvector.term_vectors import RANK_THRESHOLDS, as_lexeme, as_tsvector
from tests.ingest.store.postgres import PostgresServer


def test_terms_are_counted_and_quoted() -> None:
    assert as_tsvector(["b", "a", "b"]) == "'a':1 'b':1,2"
    assert as_lexeme("it's a \\") == "'it''s a \\\\'"
    assert as_tsvector([]) == ""


def test_a_term_has_at_most_as_many_positions_as_a_lexeme_can_have() -> None:
    assert as_tsvector(["a"] * 1000).count(",") == 199


@pytest.mark.slow
def test_the_server_reads_them_back_and_counts_repetitions(shared_postgres: PostgresServer) -> None:
    terms = ["foo-bar", "err_1042", "v2.3.1", "東京", "c++", "it's", "a\\b", "WHO", "who"]
    with shared_postgres.connect() as connection:
        for count in (1, 2, 3, 10, 29):
            for term in terms:
                row = connection.execute(
                    "SELECT width_bucket(ts_rank(%s::tsvector, %s::tsquery)::float8, %s::float8[])",
                    [as_tsvector([*terms, *[term] * (count - 1)]), as_lexeme(term), RANK_THRESHOLDS],
                ).fetchone()
                assert row == (count,)
