from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.base import MAX_PAGE
from rag_pipeline.journal.sqlite.batch_insert import insert as put_rows
from rag_pipeline.journal.sqlite.batch_insert import install
from rag_pipeline.journal.sqlite.files import SWEEP_ROWS, FileChanges, find_files, sweep_files
from rag_pipeline.journal.sqlite.schema import open_writer
from rag_pipeline.status.model import FileFailure, FileRecord

COMPLETED, DELETED = FileStatus.COMPLETED, FileStatus.DELETED


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_writer(tmp_path / "journal")
    install(made)
    yield made
    made.close()


def insert(db: sqlite3.Connection, first: int, last: int, status: FileStatus = COMPLETED, at: float = 1.0) -> None:
    changes = FileChanges()
    for n in range(first, last + 1):
        changes.change("p", ("id", str(n)), status, at, n, None, FileRecord(f"file {n}", str(n)))
    put_rows(db, changes.rows())


def found(db: sqlite3.Connection, query: FileQuery = FileQuery()) -> list[int]:  # noqa: B008
    return [row.position for row in find_files(db, query)]


def test_only_the_last_record_of_a_file_is_written_and_a_dropped_file_is_removed(db: sqlite3.Connection) -> None:
    insert(db, 1, 3)
    changes = FileChanges()
    for position in (4, 5):
        changes.change("p", ("id", "1"), COMPLETED, 1.0, position, None, FileRecord(f"now at {position}", "1"))
    changes.drop("p", ("id", "2"))
    changes.drop("p", ("id", "3"))
    changes.change("p", ("id", "3"), COMPLETED, 1.0, 6, None, FileRecord("back", "3"))
    put_rows(db, changes.rows())
    assert [(row.position, row.file["name"]) for row in find_files(db, FileQuery())] == [(6, "back"), (5, "now at 5")]


def test_files_of_different_pipelines_are_different_files(db: sqlite3.Connection) -> None:
    insert(db, 1, 1)
    changes = FileChanges()
    changes.change("q", ("id", "1"), DELETED, 2.0, 2, None, FileRecord("file 1", "1"))
    put_rows(db, changes.rows())
    assert found(db) == [2, 1]
    assert (found(db, FileQuery(pipeline_id="p")), found(db, FileQuery(status=DELETED))) == ([1], [2])


def test_a_file_is_shown_as_its_record(db: sqlite3.Connection) -> None:
    error = FileFailure("Odd", "É went wrong", "reading", retryable=True)
    file = FileRecord("a", "1", 2, "text/plain", None, 3, 1.5, "reading", 0.5, 2.5, 3.5, 2.0, {"n": [1]}, error)
    changes = FileChanges()
    changes.change("p", ("id", "1"), FileStatus.FAILED, 3.5, 7, None, file)
    put_rows(db, changes.rows())
    assert find_files(db, FileQuery()) == [(7, "p", FileStatus.FAILED, 3.5, file.to_json())]


def test_a_page_is_limited_and_the_next_one_continues_below_it(db: sqlite3.Connection) -> None:
    insert(db, 1, MAX_PAGE + 2)
    first = found(db, FileQuery(limit=1 << 70))
    assert first == list(range(MAX_PAGE + 2, 2, -1))
    assert found(db, FileQuery(before=first[-1])) == [2, 1]
    assert found(db, FileQuery(limit=0)) == found(db, FileQuery(limit=-1)) == found(db, FileQuery(before=-5)) == []
    assert found(db, FileQuery(before=1 << 70, limit=1)) == [MAX_PAGE + 2]


@pytest.mark.parametrize("query", [FileQuery(), FileQuery(status=COMPLETED), FileQuery(before=9, status=COMPLETED)])
def test_a_page_does_not_sort_all_files(db: sqlite3.Connection, query: FileQuery) -> None:
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    find_files(db, query)
    db.set_trace_callback(None)
    (statement,) = statements
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert "B-TREE" not in plan
    assert ("files_by_status" in plan) is (query.status is not None)


def test_a_sweep_removes_only_old_deleted_files_in_small_steps(db: sqlite3.Connection) -> None:
    insert(db, 1, 1, COMPLETED, at=1.0)
    insert(db, 2, SWEEP_ROWS + 11, DELETED, at=1.0)
    insert(db, 500, 501, DELETED, at=99.0)
    assert sweep_files(db, 50.0)
    assert len(found(db)) == 13
    assert not sweep_files(db, 50.0)
    assert found(db) == [501, 500, 1]
