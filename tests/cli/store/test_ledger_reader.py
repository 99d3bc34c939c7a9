"""Reading a ledger while it is written, without changing it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rag_pipeline.cli.store.ledger_reader import LedgerFile, read_ledger
from rag_pipeline.errors import StateError
from rag_pipeline.sources.ledger import FILE_NAME, Ledger, LedgerRow, Outcome, SourceRecord


def test_all_pipelines_are_read_while_one_writes(tmp_path: Path) -> None:
    with Ledger(tmp_path, "one") as one, Ledger(tmp_path, "two") as two:
        one.set_source(SourceRecord("/papers", "1:2"))
        one.put("a", LedgerRow("v", Outcome.STORED, "h-r", "r"))
        two.put("b", LedgerRow(None, Outcome.FAILED, attempts=3))
        found = read_ledger(tmp_path)
    assert found["one"].files == {"a": LedgerFile(Outcome.STORED, "h-r", "v")}
    assert found["one"].source == SourceRecord("/papers", "1:2")
    assert found["two"].files == {"b": LedgerFile(Outcome.FAILED, None, None, 3)}
    assert (found["two"].source, found["two"].changed_at is None) == (None, False)


def test_without_a_ledger_the_result_is_empty_and_no_file_is_made(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_first_format_is_read_without_migration(tmp_path: Path) -> None:
    from rag_pipeline.sources import ledger

    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript(ledger._STEPS[0])
    db.execute("INSERT INTO files VALUES ('p', 'a', 'v', 'stored', 'h-r', 'r', 0, NULL, NULL, 1.5)")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    assert read_ledger(tmp_path)["p"].changed_at == 1.5
    assert sqlite3.connect(tmp_path / FILE_NAME).execute("PRAGMA user_version").fetchone() == (1,)


def test_a_damaged_or_newer_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"x" * 5000)
    with pytest.raises(StateError, match="can't be read"):
        read_ledger(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match=r"newer version of rag-pipeline \(format 99"):
        read_ledger(tmp_path)
