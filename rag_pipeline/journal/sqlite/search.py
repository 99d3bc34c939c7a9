"""The search index of files: substrings of names and error messages, by trigrams.

The index is in a temporary database of the searching connection, and each search first updates it. So appends cost
nothing extra, and a file that an older version wrote is indexed by the first search. A row of ``files`` moves to a new
position with each change. So rows above the last indexed position are new, and an index entry without a row is stale.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from rag_pipeline.common import native
from rag_pipeline.journal.base import FileMatch, FileQuery
from rag_pipeline.journal.search_text import folded
from rag_pipeline.journal.sqlite.files import find_files
from rag_pipeline.journal.sqlite.schema import open_searcher, transaction

CHUNK_ROWS = 25_000
MOST_STALE_ROWS = 50_000
_INTERRUPT_SECONDS = 0.05
_MIN_CHARACTERS = 3
"""Shorter texts have no trigram: the whole index is scanned."""

_NUL, _NO_NUL = "\0", "\U0010ffff"
"""SQLite's text functions end at a NUL."""

_TRIGRAMS = "CREATE VIRTUAL TABLE texts.found USING fts5(name, message, tokenize = 'trigram case_sensitive 1')"
_GATHER = f"INSERT INTO texts.found (found, rank) VALUES ('hashsize', {32 << 20})"  # fewer merges while building
_PLAIN = "CREATE TABLE texts.found (name TEXT, message TEXT)"  # for a SQLite without FTS5
_PUT = "INSERT INTO texts.found (rowid, name, message)"
_NEW = "FROM files WHERE position > ? AND position <= ?"
_IS_ASCII = " AND ".join(f"length({text}) = length(CAST({text} AS BLOB))" for text in ("name", "ifnull(message, '')"))
_AS_HEX = "group_concat(position || ' ' || hex(name) || ' ' || hex(ifnull(message, '')), char(10))"
_FOUND = (
    "SELECT files.position, pipeline_id, status, changed_at, record FROM texts.found"
    " CROSS JOIN files ON files.position = found.rowid"  # CROSS JOIN fixes the order of the join
)


class FileSearch:
    """Lists and searches files on its own connection, one query at a time; any thread may call it.

    Raises sqlite3.Error, also if :meth:`close` interrupts a query.
    """

    def __init__(self, path: Path) -> None:
        self._lock = native.allocate_lock()  # protects the connection and the index
        self._closed = False
        self._db = open_searcher(path)
        self._trigrams = True
        self._rebuild()

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        with self._lock:
            self._check_open()
            if not query.text:
                return find_files(self._db, query)
            self._catch_up()
            with transaction(self._db, "BEGIN"):  # index and files as of one moment
                self._catch_up()
                return self._find(query, folded(query.text).replace(_NUL, _NO_NUL))

    def _find(self, query: FileQuery, text: str) -> list[FileMatch]:
        if self._trigrams and len(text) >= _MIN_CHARACTERS:
            phrase = '"' + text.replace('"', '""') + '"'
            return find_files(self._db, query, _FOUND, ("found MATCH ?", phrase))
        # Not LIKE: it has wildcards, and folds ASCII alone.
        contains = "(instr(found.name, ?) > 0 OR instr(found.message, ?) > 0)"
        return find_files(self._db, query, _FOUND, (contains, text, text))

    def close(self) -> None:
        """Interrupt a running query, and close the connection; idempotent."""
        self._closed = True
        while not self._lock.acquire(timeout=_INTERRUPT_SECONDS):
            self._db.interrupt()  # repeatedly, because the next statement may have begun
        try:
            self._db.close()
        finally:
            self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise sqlite3.OperationalError("the journal is closed")

    def _rebuild(self) -> None:
        self._indexed = 0
        self._rows = 0
        self._db.execute("DROP TABLE IF EXISTS texts.found")
        if self._trigrams:
            try:
                self._db.execute(_TRIGRAMS)
                self._db.execute(_GATHER)
            except sqlite3.OperationalError:
                self._trigrams = False
        if not self._trigrams:
            self._db.execute(_PLAIN)

    def _catch_up(self) -> None:
        if self._rows > MOST_STALE_ROWS and not self._db.in_transaction:
            (count,) = self._db.execute("SELECT count(*) FROM files").fetchone()
            if self._rows > 2 * count + MOST_STALE_ROWS:
                self._rebuild()
        (newest,) = self._db.execute("SELECT ifnull(max(position), 0) FROM files").fetchone()
        while self._indexed < newest:
            self._check_open()
            last = f"SELECT max(position) FROM (SELECT position {_NEW} ORDER BY position LIMIT {CHUNK_ROWS})"
            (end,) = self._db.execute(last, (self._indexed, newest)).fetchone()
            if end is None:
                return
            self._index(self._indexed, end)
            self._indexed = end

    def _index(self, after: int, end: int) -> None:
        """Index the rows after ``after`` up to ``end``.

        Each statement handles a whole chunk: between two steps of a statement Python takes the GIL back, which costs up
        to 5 ms beside a thread that computes. ASCII texts, which most are, are folded already.
        """
        db = self._db
        # Rows of an earlier attempt that failed.
        db.execute("DELETE FROM texts.found WHERE rowid > ?", (after,))
        self._rows += db.execute(f"{_PUT} SELECT position, name, message {_NEW} AND {_IS_ASCII}", (after, end)).rowcount
        (others,) = db.execute(f"SELECT {_AS_HEX} {_NEW} AND NOT ({_IS_ASCII})", (after, end)).fetchone()
        if others is None:
            return
        rows = [line.split(" ") for line in others.split("\n")]
        values = json.dumps([[int(position), _text(name), _text(message)] for position, name, message in rows])
        columns = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(3))
        db.execute(f"{_PUT} SELECT {columns} FROM json_each(?)", (values,))
        self._rows += len(rows)


def _text(as_hex: str) -> str:
    return folded(bytes.fromhex(as_hex).decode()).replace(_NUL, _NO_NUL)
