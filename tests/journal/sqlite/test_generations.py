from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.journal import offset_of
from rag_pipeline.journal.sqlite.generations import MAX_GENERATIONS, begin_generation
from rag_pipeline.journal.sqlite.schema import open_writer


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_writer(tmp_path / "journal")
    yield made
    made.close()


def test_each_opening_is_a_generation_that_ends_the_one_before(db: sqlite3.Connection) -> None:
    first, second, third = (begin_generation(db, newest) for newest in (0, 7, 7))
    assert len({first.identity, second.identity, third.identity}) == 3
    assert (first.former, second.former) == ({}, {first.identity: 7})
    assert third.former == {first.identity: 7, second.identity: 7}


def test_epochs_of_long_ago_are_forgotten(db: sqlite3.Connection) -> None:
    identities = [begin_generation(db, 0).identity for _ in range(3)]
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO generations (identity, start) SELECT printf('%08d', i), 0 FROM n",
        (MAX_GENERATIONS - 2,),
    )
    generations = begin_generation(db, 0)
    assert [generations.position_of(offset_of(identity, 0)) for identity in identities] == [None, None, 0]
    assert len(generations.former) == MAX_GENERATIONS - 1
