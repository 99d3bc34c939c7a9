"""The search index: it finds what a scan of every row finds, also in old files, and can be interrupted."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.journal import FileQuery, FileStatus
from rag_pipeline.journal.search_text import folded
from rag_pipeline.journal.sqlite import search
from rag_pipeline.journal.sqlite.batch_insert import insert as put_rows
from rag_pipeline.journal.sqlite.batch_insert import install
from rag_pipeline.journal.sqlite.files import FileChanges
from rag_pipeline.journal.sqlite.schema import open_writer
from rag_pipeline.journal.sqlite.search import FileSearch
from rag_pipeline.status.model import FileFailure, FileRecord
from tests.support.unicode_forms import FORMS, Form

COMPLETED, FAILED = FileStatus.COMPLETED, FileStatus.FAILED


class Files:
    """A journal that contains only files."""

    def __init__(self, path: Path) -> None:
        self.db = open_writer(path)
        install(self.db)
        self.position = 0
        self.search = FileSearch(path)

    def put(self, name: str, message: str | None = None, key: str | None = None, pipeline_id: str = "p") -> None:
        self.position += 1
        error = None if message is None else FileFailure("Odd", message, None, retryable=False)
        changes = FileChanges()
        status = COMPLETED if message is None else FAILED
        file = FileRecord(name, None, error=error)
        changes.change(pipeline_id, ("id", key or str(self.position)), status, 1.0, self.position, None, file)
        put_rows(self.db, changes.rows())

    def found(self, text: str, **query: Any) -> list[int]:
        return [row.position for row in self.search.files(FileQuery(text=text)._replace(**query))]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    made = Files(tmp_path / "journal")
    yield made
    made.search.close()
    made.db.close()


@pytest.fixture(params=["trigrams", "no FTS5"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    if request.param == "no FTS5":
        monkeypatch.setattr(search, "_TRIGRAMS", "CREATE VIRTUAL TABLE texts.found USING no_such_module(name)")
    made = Files(tmp_path / "journal")
    yield made
    made.search.close()
    made.db.close()


def test_names_and_messages_are_found_newest_first(either: Files) -> None:
    either.put("Report 1.PDF")
    either.put("b.txt", "the PDF is locked")
    either.put("c.txt")
    assert either.found("pdf") == either.found("df") == [2, 1]
    assert either.found("pdf", status=FAILED) == [2]
    assert either.found("pdf", before=2) == [1]
    assert either.found("pdf", limit=1) == [2]
    assert either.found("pdf", pipeline_id="q") == []
    assert either.found("no such text") == []


def test_a_file_is_found_only_as_of_its_last_change(either: Files) -> None:
    either.put("first.txt", key="a")
    assert either.found("first") == [1]
    either.put("first.txt", "went wrong", key="a")
    either.put("second.txt", key="b")
    assert either.found("first") == either.found("wrong") == [2]
    either.db.execute("DELETE FROM files WHERE position = 2")
    assert either.found("first") == []


@pytest.mark.parametrize("form", FORMS)
def test_a_name_is_found_by_either_unicode_form(either: Files, form: Form) -> None:
    either.put(normalize(form, "Mönch und Ärztin"), normalize(form, "Tür zu"))
    for other in FORMS:
        assert [either.found(normalize(other, text)) for text in ("MÖN", "MÖ", "tür")] == [[1]] * 3


TEXTS = st.text(st.sampled_from("aAbéÉe\u0301ß\0\"'*%_ \n😀İ"), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS), max_size=6), TEXTS.filter(bool))
def test_it_finds_what_a_scan_of_every_row_finds(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None]], text: str
) -> None:
    files = Files(tmp_path_factory.mktemp("journal") / "journal")
    for name, message in rows:
        files.put(name, message)
    wanted = folded(text)
    expected = [
        number
        for number, (name, message) in enumerate(rows, 1)
        if wanted in folded(name) or (message is not None and wanted in folded(message))
    ]
    assert files.found(text) == expected[::-1]
    files.search.close()
    files.db.close()


def test_a_mostly_stale_index_is_rebuilt(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_STALE_ROWS", 10)
    for _ in range(40):
        files.put("same name.txt", key="a")
        assert files.found("same") == [files.position]
    assert files.search._rows <= 2 + 10 + 1


def test_a_file_with_many_rows_is_indexed(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CHUNK_ROWS", 7)
    for number in range(50):
        files.put(f"ä file {number}" if number % 2 else f"a file {number}")
    assert len(files.found("file")) == 50


def test_closing_interrupts_a_running_search(files: Files) -> None:
    # A search that would take forever: the self join has 10^12 rows.
    files.db.execute(
        "CREATE TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n LIMIT 1000) SELECT i FROM n"
    )
    endless = "SELECT 1 FROM many a, many b, many c, many d WHERE a.i + b.i + c.i + d.i < 0"
    ended: list[BaseException] = []
    begun = threading.Event()

    def search() -> None:
        try:
            with files.search._lock:
                begun.set()
                files.search._db.execute(endless).fetchall()
        except sqlite3.Error as error:
            ended.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    assert begun.wait(30)
    time.sleep(0.05)
    files.search.close()
    thread.join(30)
    assert not thread.is_alive()
    assert "interrupted" in str(ended[0])
    with pytest.raises(sqlite3.OperationalError, match="closed"):
        files.found("x")
    files.search.close()
