from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.journal.sqlite import batch_insert as inbox
from rag_pipeline.journal.sqlite.batch_insert import MAX_ROWS_A_STATEMENT, Row, install, put
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


def event(position: int) -> Row:
    return inbox.EVENT, position, 1.5, "name", "/pipeline", "p", None, "e", position, f"text {position}"


def events(first: int, last: int) -> list[Row]:
    return [event(position) for position in range(first, last + 1)]


def kept(db: sqlite3.Connection) -> list[int]:
    return [position for (position,) in db.execute("SELECT position FROM events ORDER BY position")]


def steps_of(db: sqlite3.Connection, rows: list[Row]) -> list[str]:
    """Put the rows; return the statements that it took."""
    steps: list[str] = []
    db.set_trace_callback(steps.append)
    put(db, rows)
    db.set_trace_callback(None)
    return list(dict.fromkeys(steps))  # one that fires a trigger is traced again for each thing that does


@pytest.mark.parametrize("rows", [1, 2, 3, 7, MAX_ROWS_A_STATEMENT - 1, MAX_ROWS_A_STATEMENT])
def test_what_fits_is_one_statement_that_needs_no_transaction_around_it(db: sqlite3.Connection, rows: int) -> None:
    (step,) = steps_of(db, events(1, rows))
    assert step.startswith("INSERT INTO inbox")
    assert kept(db) == list(range(1, rows + 1))


def test_what_does_not_fit_is_kept_whole_or_not_at_all(db: sqlite3.Connection) -> None:
    many = 3 * MAX_ROWS_A_STATEMENT + 5
    steps = steps_of(db, events(1, many))
    assert [step.split()[0] for step in steps] == ["BEGIN", "INSERT", "INSERT", "INSERT", "INSERT", "COMMIT"]
    assert kept(db) == list(range(1, many + 1))
    with pytest.raises(sqlite3.IntegrityError):
        put(db, [*events(many + 1, 2 * many), event(1)])
    assert kept(db) == list(range(1, many + 1))
    assert not db.in_transaction


def test_no_rows_are_no_statement(db: sqlite3.Connection) -> None:
    assert steps_of(db, []) == []


def test_a_statement_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    put(db, events(1, 3))
    with pytest.raises(sqlite3.IntegrityError):
        put(db, [*events(4, 6), event(2)])
    with pytest.raises(UnicodeEncodeError):
        put(db, [event(4), (inbox.ATTEMPT_GONE, "p", "\udc80")])
    assert kept(db) == [1, 2, 3]


def test_each_kind_goes_where_it_belongs_and_takes_away_what_it_names(db: sqlite3.Connection) -> None:
    put(
        db,
        [
            *events(1, 3),
            (inbox.FILE, 1, "p", "name:a\0", "completed", 2.0, None, "a\0", None, "[]"),
            (inbox.FILE, 2, "p", "name:b", "completed", 2.0, None, "b", "no", "[]"),
            (inbox.ATTEMPT, "p", "name:a", 2, 1),
            (inbox.ATTEMPT, "p", "name:b", 3, 2),
            (inbox.PIPELINE, "p", None, "e", 3, "{}", "{}", "[]", 3),
        ],
    )
    put(
        db,
        [
            (inbox.PRUNE, 2),
            (inbox.FILE_GONE, "p", "name:b"),
            (inbox.FILE, 3, "p", "name:a\0", "failed", 3.0, 3, "a\0", "why\0", "[]"),
            (inbox.ATTEMPT_GONE, "p", "name:a"),
            (inbox.PIPELINE, "p", "t", "e", 4, "{}", "{}", "[]", 4),
        ],
    )
    assert db.execute("SELECT * FROM events").fetchall() == [event(3)[1:]]
    assert db.execute("SELECT * FROM files").fetchall() == [
        (3, "p", "name:a\0", "failed", 3.0, 3, "a\0", "why\0", "[]"),
    ]
    assert db.execute("SELECT * FROM attempts").fetchall() == [("p", "name:b", 3, 2)]
    assert db.execute("SELECT * FROM pipelines").fetchall() == [("p", "t", "e", 4, "{}", "{}", "[]", 4)]


def test_positions_are_remembered_when_their_events_are_gone(db: sqlite3.Connection) -> None:
    put(db, [*events(1, 5), (inbox.PRUNE, 5)])
    assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone() == (5,)
    assert kept(db) == []


def test_the_inbox_is_no_part_of_the_file(db: sqlite3.Connection, path: Path) -> None:
    put(db, events(1, 1))
    reader = open_reader(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table: inbox"):
        reader.execute("SELECT * FROM inbox")
    assert kept(reader) == [1]
    reader.close()
