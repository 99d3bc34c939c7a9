from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError
from rag_pipeline.sources.database import Database

SCHEMA = "CREATE TABLE things (name TEXT PRIMARY KEY); CREATE INDEX by_name ON things (name)"


def opened(path: Path, version: int = 1) -> Database:
    steps = (SCHEMA, "ALTER TABLE things ADD COLUMN size INTEGER;")
    return Database(path / "things.sqlite3", steps[:version], rebuilt="it is made anew")


def names(database: Database) -> list[str]:
    return [name for (name,) in database.run("SELECT name FROM things ORDER BY name")]


def test_written_data_survives_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.run("INSERT INTO things VALUES (?)", ("a",))
    first.close()
    first.close()
    second = opened(tmp_path)
    assert names(second) == ["a"]
    second.close()


def test_an_error_rolls_back_the_block_and_its_nested_blocks(tmp_path: Path) -> None:
    database = opened(tmp_path)

    def fail() -> None:
        with database.transaction():
            database.run("INSERT INTO things VALUES ('a')")
            with database.transaction():
                database.run("INSERT INTO things VALUES ('b')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(database) == []
    with database.transaction(), database.transaction():
        database.run("INSERT INTO things VALUES ('c')")
    assert names(database) == ["c"]
    database.close()


def test_a_transaction_is_atomic_for_other_threads(tmp_path: Path) -> None:
    database = opened(tmp_path)
    seen: list[list[str]] = []
    reader = threading.Thread(target=lambda: seen.append(names(database)))
    with database.transaction():
        database.run("INSERT INTO things VALUES ('a')")
        reader.start()
        database.run("INSERT INTO things VALUES ('b')")
    reader.join(20)
    assert seen == [["a", "b"]]
    database.close()


def test_an_unusable_file_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "things.sqlite3"
    opened(tmp_path, version=2).close()
    with pytest.raises(StateError) as newer:
        opened(tmp_path, version=1)
    assert str(newer.value) == (
        f"{path} was written by a newer version of rag-pipeline (format 2, this one knows 1): "
        "upgrade, or choose another state folder"
    )
    path.write_bytes(b"x" * 4096)
    with pytest.raises(StateError) as damaged:
        opened(tmp_path)
    assert str(damaged.value) == f"{path} is damaged (file is not a database): remove it, it is made anew"
    with pytest.raises(StateError, match="can't be used: unable to open database file"):
        opened(tmp_path / "nowhere")


def test_an_older_file_is_migrated(tmp_path: Path) -> None:
    older = opened(tmp_path)
    older.run("INSERT INTO things VALUES ('a')")
    older.close()
    database = opened(tmp_path, version=2)
    database.run_many("INSERT INTO things VALUES (?, ?)", [("b", 2), ("c", 3)])
    assert database.run("SELECT * FROM things ORDER BY name") == [("a", None), ("b", 2), ("c", 3)]
    database.close()


def test_a_locked_file_is_waited_for_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = opened(tmp_path)
    database.run("PRAGMA busy_timeout = 50")
    holder = sqlite3.connect(tmp_path / "things.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateError, match="can't be used: database is locked"), database.transaction():
        database.run("INSERT INTO things VALUES ('a')")
    holder.execute("ROLLBACK")
    holder.close()
    database.run("INSERT INTO things VALUES ('a')")
    assert names(database) == ["a"]
    database.close()


def test_an_unsupported_value_is_not_reported_as_damage(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with pytest.raises(StateError, match=r"things.sqlite3 can't be used: .*type 'list' is not supported"):
        database.run("INSERT INTO things VALUES (?)", (["a"],))
    with pytest.raises(StateError, match="can't be used: UNIQUE"):
        database.run_many("INSERT INTO things VALUES (?)", [("a",), ("a",)])
    database.close()
