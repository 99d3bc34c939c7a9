"""A process that appends to a journal until it is killed or reaches its file size limit: ``PATH [BYTES]``."""

from __future__ import annotations

import json
import resource
import sys
from itertools import count
from pathlib import Path

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from tests.journal.driving import recorded
from tests.support.recorder import Recorder


def main() -> None:
    """Append forever; print the newest position and ``seq`` after each append, as JSON lines."""
    path, limit = Path(sys.argv[1]), [int(text) for text in sys.argv[2:]]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if limit and limit[0] == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
        journal = SqliteJournal(path)
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit[0], unlimited[1]))
        _fill(journal)
    except JournalError as error:
        say(error=str(error))
    if limit and limit[0]:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        say(kept=journal.newest, read=len(journal.read(0, 1_000_000)))
        pipeline, recorder = recorded("another")
        pipeline.update(status="running")
        say(newest=journal.append(recorder.events)[-1].position)


def _fill(journal: SqliteJournal) -> None:
    pipeline, recorder = recorded()
    for turn in count():
        for n in range(turn % 7 + 1):
            pipeline.add_processing_file(f"file {turn} {n}", str(n))
            pipeline.file_progress(f"file {turn} {n}", "reading", 0.5, file_id=str(n))
            pipeline.complete_file(f"file {turn} {n}", turn % 3 > 0, file_id=str(n))
        _append(journal, recorder)


def _append(journal: SqliteJournal, recorder: Recorder) -> None:
    events = recorder.events
    recorder.items.clear()
    journal.append(events)
    say(newest=journal.newest, seq=events[-1].seq)


def say(**fields: object) -> None:
    """Print a line that the test reads."""
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
