from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import JournalError
from rag_pipeline.journal import FileQuery, offset_of
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.journal.sqlite.schema import SCHEMA_VERSION, file_error, open_reader, open_writer, transaction
from tests.journal.driving import assert_saved, recorded


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT)")
    yield made
    made.close()


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM numbers").fetchone()[0])


def test_a_new_file_has_the_format(tmp_path: Path) -> None:
    for _ in range(2):
        db = open_writer(tmp_path / "journal")
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        db.close()


def in_format_3(path: Path) -> None:
    """Turn the file back into format 3, which knows no warnings."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("DROP INDEX warned_files")
    db.execute("ALTER TABLE files DROP COLUMN warned")
    db.execute("PRAGMA user_version = 3")
    db.close()


def in_format_1(path: Path) -> None:
    """Turn the file back into format 1, without generations."""
    in_format_3(path)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("DROP TABLE generations")
    db.execute("CREATE TABLE recent (pipeline_id TEXT, status TEXT, slot INTEGER, nth INTEGER, record TEXT)")
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO meta VALUES ('identity', '0123456789abcdef')")
    db.execute("PRAGMA user_version = 1")
    db.close()


def test_a_file_of_format_1_is_migrated_with_its_offsets(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    pipeline.complete_file("a")
    journal = SqliteJournal(path)
    journal.append(recorder.events)
    journal.close()
    in_format_1(path)
    for _ in range(2):
        journal = SqliteJournal(path)
        offsets = [offset_of("0123456789abcdef", position) for position in (0, 2, 3)]
        assert [journal.generations.position_of(offset) for offset in offsets] == [0, 2, None]
        assert [entry.event.seq for entry in journal.read(0, 10)] == [1, 2]
        assert_saved(journal.saved_states()["p"], pipeline)
        journal.close()


def test_a_file_of_format_3_is_migrated_and_then_knows_warnings(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    pipeline, recorder = recorded()
    pipeline.complete_file("a")
    journal = SqliteJournal(path)
    journal.append(recorder.events)
    journal.close()
    in_format_3(path)
    journal = SqliteJournal(path)
    assert [(row.file["name"], row.file["warnings"]) for row in journal.files(FileQuery(warnings=False))] == [("a", [])]
    before = len(recorder.events)
    pipeline.complete_file("b", warnings=["odd"])
    journal.append(recorder.events[before:])
    assert [row.file["name"] for row in journal.files(FileQuery(warnings=True))] == ["b"]
    assert_saved(journal.saved_states()["p"], pipeline)
    journal.close()


def test_a_file_of_a_newer_version_is_refused_untouched_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    open_writer(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    formats = rf"\(format {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION}\)"
    expected = rf"{path} was written by a newer version .*{formats}: upgrade, or choose another"
    with pytest.raises(JournalError, match=expected):
        SqliteJournal(path)
    assert path.read_bytes() == before


def test_a_folder_at_the_path_of_the_file_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.mkdir()
    with pytest.raises(JournalError, match=f"^{path} can't be used: unable to open database file$"):
        SqliteJournal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_a_read_only_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match=f"^{tmp_path}/journal can't be used"):
            SqliteJournal(tmp_path / "journal")
    finally:
        tmp_path.chmod(0o700)


def test_a_foreign_database_is_reported_in_one_line(tmp_path: Path) -> None:
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


def test_a_transaction_commits_all_or_nothing(db: sqlite3.Connection) -> None:
    with transaction(db):
        db.execute("INSERT INTO numbers VALUES (1, 'one')")

    def write_one_twice() -> None:
        with transaction(db):
            db.execute("INSERT INTO numbers VALUES (2, 'two')")
            db.execute("INSERT INTO numbers VALUES (1, 'again')")

    with pytest.raises(sqlite3.IntegrityError):
        write_one_twice()
    assert count(db) == 1
    assert not db.in_transaction


def test_an_error_that_ended_the_transaction_itself_is_the_one_raised(db: sqlite3.Connection) -> None:
    def end_early() -> None:
        with transaction(db):
            db.execute("ROLLBACK")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        end_early()
    assert not db.in_transaction


def test_an_error_names_the_file_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert str(file_error(path, sqlite3.OperationalError("no"))) == f"{path} can't be used: no"
    assert str(file_error(path, sqlite3.DatabaseError("torn"))).startswith(f"{path} is damaged (torn): remove it")
