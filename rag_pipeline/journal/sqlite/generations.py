"""The generations of a SQLite journal: one for each opening of the file.

With ``synchronous = NORMAL`` a power loss can undo the last transactions, and a state folder can be restored from a
backup. Neither leaves a trace in the file, so every opening is treated as if it had happened.
"""

from __future__ import annotations

import sqlite3

from rag_pipeline.journal.base import Generations, new_identity
from rag_pipeline.journal.sqlite.schema import transaction

MAX_GENERATIONS = 1000


def begin_generation(db: sqlite3.Connection, newest: int) -> Generations:
    """Begin a generation after the position ``newest``; return all generations, of which the last 1,000 are kept."""
    with transaction(db):
        db.execute("INSERT INTO generations (identity, start) VALUES (?, ?)", (new_identity(), newest))
        db.execute("DELETE FROM generations WHERE nth <= (SELECT max(nth) FROM generations) - ?", (MAX_GENERATIONS,))
    return Generations.of(db.execute("SELECT identity, start FROM generations ORDER BY nth").fetchall())
