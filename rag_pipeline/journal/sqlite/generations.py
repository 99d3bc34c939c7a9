"""The generations of a SQLite journal: one for each time it was opened.

With ``synchronous = NORMAL`` a loss of power can take the last transactions, and a state folder can be restored from a
copy. Neither leaves a trace in the file, so each opening counts as if it had happened.
"""

from __future__ import annotations

import sqlite3

from rag_pipeline.journal.base import Lineage, new_identity
from rag_pipeline.journal.sqlite.schema import transaction

MAX_GENERATIONS = 1000


def begin_generation(db: sqlite3.Connection, newest: int) -> Lineage:
    """Begin one after the position ``newest``; return it with those before, the last 1,000 of which are kept."""
    with transaction(db):
        db.execute("INSERT INTO generations (identity, start) VALUES (?, ?)", (new_identity(), newest))
        db.execute("DELETE FROM generations WHERE nth <= (SELECT max(nth) FROM generations) - ?", (MAX_GENERATIONS,))
    return Lineage.of(db.execute("SELECT identity, start FROM generations ORDER BY nth").fetchall())
