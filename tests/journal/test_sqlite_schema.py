from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.sqlite import SqliteJournal
from rag_pipeline.journal.sqlite_schema import (
    MAX_ROWS_A_STEP,
    SCHEMA_VERSION,
    broken,
    open_reader,
    open_writer,
    transaction,
    write_rows,
)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT)")
    yield made
    made.close()


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM numbers").fetchone()[0])


def test_a_new_file_has_the_format_and_an_identity_that_stays(tmp_path: Path) -> None:
    identities = []
    for _ in range(2):
        db = open_writer(tmp_path / "journal")
        identities += db.execute("SELECT value FROM meta WHERE key = 'identity'").fetchall()
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        db.close()
    assert identities[0] == identities[1]


def test_a_file_of_a_newer_version_is_refused_untouched_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    open_writer(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    expected = rf"{path} was written by a newer version .*\(format 2, this one knows 1\): upgrade, or choose another"
    with pytest.raises(JournalError, match=expected):
        SqliteJournal(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.mkdir()
    with pytest.raises(JournalError, match=f"^{path} can't be used: unable to open database file$"):
        SqliteJournal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match=f"^{tmp_path}/journal can't be used"):
            SqliteJournal(tmp_path / "journal")
    finally:
        tmp_path.chmod(0o700)


def test_a_database_of_something_else_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE files (mine)")
    db.close()
    with pytest.raises(JournalError, match=f"^{path} can't be used: table files already exists$"):
        SqliteJournal(path)


def test_the_reader_writes_nothing(tmp_path: Path) -> None:
    writer, reader = open_writer(tmp_path / "journal"), open_reader(tmp_path / "journal")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM events")
    reader.close()
    writer.close()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 7, MAX_ROWS_A_STEP, 2 * MAX_ROWS_A_STEP + 5])
def test_all_rows_are_written_in_few_steps(db: sqlite3.Connection, rows: int) -> None:
    steps: list[str] = []
    db.set_trace_callback(steps.append)
    write_rows(db, "INSERT INTO numbers", [(n, str(n)) for n in range(rows)])
    db.set_trace_callback(None)
    assert db.execute("SELECT n, text FROM numbers ORDER BY n").fetchall() == [(n, str(n)) for n in range(rows)]
    assert len(steps) <= 2 + rows.bit_length()


def test_a_transaction_is_kept_whole_or_not_at_all(db: sqlite3.Connection) -> None:
    with transaction(db):
        write_rows(db, "INSERT INTO numbers", [(1, "one")])

    def write_one_twice() -> None:
        with transaction(db):
            write_rows(db, "INSERT INTO numbers", [(2, "two")])
            write_rows(db, "INSERT INTO numbers", [(1, "again")])

    with pytest.raises(sqlite3.IntegrityError):
        write_one_twice()
    assert count(db) == 1
    assert not db.in_transaction


def test_an_error_that_ended_the_transaction_by_itself_is_the_one_that_is_told(db: sqlite3.Connection) -> None:
    def end_early() -> None:
        with transaction(db):
            db.execute("ROLLBACK")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        end_early()
    assert not db.in_transaction


def test_an_error_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert str(broken(path, sqlite3.OperationalError("no"))) == f"{path} can't be used: no"
    assert str(broken(path, sqlite3.DatabaseError("torn"))).startswith(f"{path} is damaged (torn): remove it")
