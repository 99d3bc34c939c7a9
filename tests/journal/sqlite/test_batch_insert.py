from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.journal.sqlite import batch_insert
from rag_pipeline.journal.sqlite.batch_insert import MAX_ROWS_A_STATEMENT, BatchRow, insert, install
from rag_pipeline.journal.sqlite.schema import open_reader, open_writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    made = open_writer(path)
    install(made)
    yield made
    made.close()


def event(position: int) -> BatchRow:
    return batch_insert.EVENT, position, 1.5, "name", "/pipeline", "p", None, "e", position, f"text {position}"


def events(first: int, last: int) -> list[BatchRow]:
    return [event(position) for position in range(first, last + 1)]


def kept(db: sqlite3.Connection) -> list[int]:
    return [position for (position,) in db.execute("SELECT position FROM events ORDER BY position")]


def steps_of(db: sqlite3.Connection, rows: list[BatchRow]) -> list[str]:
    """Insert the rows; return the SQL statements that ran."""
    steps: list[str] = []
    db.set_trace_callback(steps.append)
    insert(db, rows)
    db.set_trace_callback(None)
    return list(
        dict.fromkeys(steps)
    )  # a statement that fires a trigger is traced once for each of the trigger's statements


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3, 7, MAX_ROWS_A_STATEMENT - 1, MAX_ROWS_A_STATEMENT])
def test_up_to_256_rows_are_one_statement_without_a_transaction(db: sqlite3.Connection, rows: int) -> None:
    (step,) = steps_of(db, events(1, rows))
    assert step.startswith("INSERT INTO batch")
    assert kept(db) == list(range(1, rows + 1))


@pytest.mark.slow
def test_more_rows_than_one_statement_are_written_all_or_none(db: sqlite3.Connection) -> None:
    many = 3 * MAX_ROWS_A_STATEMENT + 5
    steps = steps_of(db, events(1, many))
    assert [step.split()[0] for step in steps] == ["BEGIN", "INSERT", "INSERT", "INSERT", "INSERT", "COMMIT"]
    assert kept(db) == list(range(1, many + 1))
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, [*events(many + 1, 2 * many), event(1)])
    assert kept(db) == list(range(1, many + 1))
    assert not db.in_transaction


def test_without_rows_no_statement_runs(db: sqlite3.Connection) -> None:
    assert steps_of(db, []) == []


def test_a_statement_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    insert(db, events(1, 3))
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, [*events(4, 6), event(2)])
    with pytest.raises(UnicodeEncodeError):
        insert(db, [event(4), (batch_insert.REMOVE_ATTEMPT, "p", "\udc80")])
    assert kept(db) == [1, 2, 3]


def test_each_kind_of_row_changes_its_table(db: sqlite3.Connection) -> None:
    insert(
        db,
        [
            *events(1, 3),
            (batch_insert.FILE, 1, "p", "name:a\0", "completed", 2.0, None, "a\0", None, "[]", 1),
            (batch_insert.FILE, 2, "p", "name:b", "completed", 2.0, None, "b", "no", "[]", 0),
            (batch_insert.ATTEMPT, "p", "name:a", 2, 1),
            (batch_insert.ATTEMPT, "p", "name:b", 3, 2),
            (batch_insert.PIPELINE, "p", None, "e", 3, "{}", "{}", "[]", 3),
        ],
    )
    insert(
        db,
        [
            (batch_insert.PRUNE, 2),
            (batch_insert.REMOVE_FILE, "p", "name:b"),
            (batch_insert.FILE, 3, "p", "name:a\0", "failed", 3.0, 3, "a\0", "why\0", "[]", 0),
            (batch_insert.REMOVE_ATTEMPT, "p", "name:a"),
            (batch_insert.PIPELINE, "p", "t", "e", 4, "{}", "{}", "[]", 4),
        ],
    )
    assert db.execute("SELECT * FROM events").fetchall() == [event(3)[1:]]
    assert db.execute("SELECT * FROM files").fetchall() == [
        (3, "p", "name:a\0", "failed", 3.0, 3, "a\0", "why\0", "[]", 0),
    ]
    assert db.execute("SELECT * FROM attempts").fetchall() == [("p", "name:b", 3, 2)]
    assert db.execute("SELECT * FROM pipelines").fetchall() == [("p", "t", "e", 4, "{}", "{}", "[]", 4)]


def test_positions_are_not_reused_after_their_events_are_removed(db: sqlite3.Connection) -> None:
    insert(db, [*events(1, 5), (batch_insert.PRUNE, 5)])
    assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone() == (5,)
    assert kept(db) == []


def test_the_view_is_not_part_of_the_file(db: sqlite3.Connection, path: Path) -> None:
    insert(db, events(1, 1))
    reader = open_reader(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table: batch"):
        reader.execute("SELECT * FROM batch")
    assert kept(reader) == [1]
    reader.close()
