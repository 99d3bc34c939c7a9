"""The script as pure data: an hour of a pipeline's life as a list of timed steps, the same for the same seed.

A first scan finds a folder full of documents; a check every ten minutes finds what is new. Three files at a time go
through four stages. Some can't be read, some are skipped, one disappears, an operator pauses the work, and for a while
the embedding service is down: the files in flight fail and are done at the second attempt.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice

from rag_pipeline.cli.demo.documents import document, documents
from rag_pipeline.cli.demo.steps import (
    Action,
    CheckBegins,
    Complete,
    Delete,
    Document,
    Fail,
    Idle,
    Progress,
    Skip,
    Start,
    Step,
    Update,
)

DURATION_SECONDS = 3600.0
CHECK_INTERVAL_SECONDS = 600.0
WORKERS = 3
STAGES = (("extracting", 0.3), ("chunking", 0.1), ("embedding", 0.5), ("storing", 0.1))
"""The stages a file goes through, and each one's share of its time."""

SEED = 8003

Outcome = Fail | Skip | None


def hour(seed: int = SEED) -> list[Step]:
    """Return the steps in order of time; every file that is started is ended, and the last step is idle."""
    return _Hour(random.Random(seed)).write()


class _Hour:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._steps: list[Step] = []
        self._new = documents(rng)

    def write(self) -> list[Step]:
        self._say(0, Update({"status": "initializing", "files_queued": None, "message": None}))
        first = [*self._awkward(), *((file, None) for file in islice(self._new, 36))]
        self._rng.shuffle(first)
        self._check(2, [], 0)
        end = self._work(30, first)
        self._idle(end, 600)

        self._check(600, first, 4)
        self._say(606, Delete(next(file for file, outcome in first if outcome is None)))
        self._idle(self._work(608, [(file, None) for file in islice(self._new, 12)]), 1200)

        self._check(1200, first, 0)
        self._idle(1206, 1800)

        self._paused(1800)
        self._outage(2400)

        self._check(3000, first, 6)
        self._idle(self._work(3006, [(file, None) for file in islice(self._new, 12)]), DURATION_SECONDS)
        return sorted(self._steps, key=lambda step: step.at)  # stable: what was said first at one time stays first

    # -- the parts of the hour -------------------------------------------------------------------------------------

    def _paused(self, at: float) -> None:
        """An operator holds the work for three minutes, between two batches."""
        self._check(at, [], 0)
        batch = [(file, None) for file in islice(self._new, 12)]
        held = self._work(at + 6, batch[:6], behind=6)
        self._say(held, Update({"status": "paused", "message": "held by an operator"}))
        self._say(held + 180, Update({"message": None}))
        self._idle(self._work(held + 180, batch[6:]), at + CHECK_INTERVAL_SECONDS)

    def _outage(self, at: float) -> None:
        """The embedding service is down: what is in flight fails, waits, and is done at the second attempt."""
        self._check(at, [], 0)
        down = {
            "type": "EmbeddingError",
            "message": "the embedding service did not answer: connection refused",
            "stage": "embedding",
            "retryable": True,
        }
        files = list(islice(self._new, 10))
        hit = self._work(at + 6, [(file, Fail(file, down)) for file in files[:WORKERS]], behind=7)
        self._say(hit, Update({"status": "error", "message": down["message"], "files_queued": len(files)}))
        self._say(hit + 150, Update({"message": None}))
        self._idle(self._work(hit + 150, [(file, None) for file in files]), at + CHECK_INTERVAL_SECONDS)

    def _awkward(self) -> list[tuple[Document, Outcome]]:
        """The files of the first scan that do not go well."""
        pdf = "application/pdf"
        corrupt = document(self._rng, "scan_0047.pdf", pdf, 810)
        locked = document(self._rng, "Salaries (confidential).pdf", pdf, 340)
        empty = document(self._rng, "notes.txt", "text/plain", 0)
        video = document(self._rng, "All hands.mp4", "video/mp4", 310_000)
        error = {"stage": "extracting", "retryable": False}
        return [
            (
                corrupt,
                Fail(corrupt, {**error, "type": "CorruptFileError", "message": "the cross-reference table is cut off"}),
            ),
            (
                locked,
                Fail(locked, {**error, "type": "EncryptedFileError", "message": "a password is needed to open it"}),
            ),
            (empty, Skip(empty, "there is no text in it")),
            (video, Skip(video, "no reader for video/mp4")),
        ]

    # -- their building blocks -------------------------------------------------------------------------------------

    def _check(self, at: float, known: Sequence[tuple[Document, Outcome]], unchanged: int) -> None:
        """A look at the source; a few known files turn out to be touched but unchanged."""
        self._say(at, CheckBegins())
        readable = [file for file, outcome in known if outcome is None]
        for file in readable[1 : 1 + unchanged]:
            self._say(at + 3, Skip(file, "unchanged since it was stored"))

    def _idle(self, at: float, next_check_at: float) -> None:
        assert at < next_check_at, "the work of one check must be over before the next"
        self._say(at, Update({"files_queued": 0}))
        self._say(at, Idle(next_check_at, CHECK_INTERVAL_SECONDS))

    def _work(self, at: float, batch: Sequence[tuple[Document, Outcome]], behind: int = 0) -> float:
        """Put the files through, three at a time; return when the last is done. ``behind`` more stay queued."""
        self._say(at, Update({"status": "processing", "is_checking": False, "files_queued": len(batch) + behind}))
        free = [at + worker * 0.4 for worker in range(WORKERS)]
        for number, (file, outcome) in enumerate(batch, 1):
            begun = min(free)
            self._say(begun, Update({"files_queued": len(batch) - number + behind}))
            free[free.index(begun)] = self._file(begun, file, outcome) + 0.5
        return max(free)

    def _file(self, at: float, file: Document, outcome: Outcome) -> float:
        """Take one file from its start to its end; return when that is."""
        if isinstance(outcome, Skip) and file.size > 100 * 1024 * 1024:
            self._say(at, outcome)  # its type alone tells
            return at
        self._say(at, Start(file))
        seconds = self._rng.uniform(18, 30) + file.size / (400 * 1024)
        last = STAGES[0][0] if isinstance(outcome, Skip) else outcome.error["stage"] if outcome else None
        for stage, share in STAGES:
            at = self._stage(at, file, stage, seconds * share, breaks=stage == last)
            if stage == last:
                break
        chunks = max(1, file.size // 6000)
        self._say(at, outcome or Complete(file, {"chunks": chunks, "tokens": chunks * self._rng.randint(180, 240)}))
        return at

    def _stage(self, at: float, file: Document, stage: str, seconds: float, *, breaks: bool) -> float:
        """Tell of a stage in some steps; one that breaks off ends before its last."""
        parts = max(2, round(seconds / 2))
        for part in range(parts // 2 + 1 if breaks else parts + 1):
            self._say(at + seconds * part / parts, Progress(file, stage, round(part / parts, 3)))
        return at + seconds * ((parts // 2) / parts if breaks else 1)

    def _say(self, at: float, action: Action) -> None:
        self._steps.append(Step(round(at, 3), action))
