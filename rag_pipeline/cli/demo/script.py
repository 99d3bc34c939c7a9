"""The script: an hour of a pipeline's work as a list of timed steps; the same for the same seed.

A first scan finds a folder full of documents; a check every ten minutes finds new ones. Three files at a time go
through four stages. Some can't be read, some are skipped, one disappears, an operator pauses the work, and for a while
the embedding service is down: the files in flight fail and succeed at the second attempt.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice
from typing import Any

from rag_pipeline.cli.demo.documents import document, documents
from rag_pipeline.cli.demo.steps import (
    CheckBegins,
    Complete,
    Delete,
    DemoDocument,
    DemoStep,
    Fail,
    Idle,
    Progress,
    Skip,
    Start,
    StepAction,
    Update,
)

DURATION_SECONDS = 3600.0
CHECK_INTERVAL_SECONDS = 600.0
WORKERS = 3
STAGES = (("extracting", 0.3), ("chunking", 0.1), ("embedding", 0.5), ("storing", 0.1))
"""The stages of a file, and each one's share of its time."""

SEED = 8003

Outcome = Fail | Skip | None


def hour(seed: int = SEED) -> list[DemoStep]:
    """Return the steps in order of time; every started file ends, and the last step is idle."""
    return _Hour(random.Random(seed)).build()


class _Hour:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._steps: list[DemoStep] = []
        self._new = documents(rng)

    def build(self) -> list[DemoStep]:
        self._add(0, Update({"status": "initializing", "files_queued": None, "message": None}))
        first = [*self._problem_files(), *((file, None) for file in islice(self._new, 36))]
        self._rng.shuffle(first)
        self._check(2, [], 0)
        end = self._work(30, first)
        self._idle(end, 600)

        self._check(600, first, 4)
        self._add(606, Delete(next(file for file, outcome in first if outcome is None)))
        self._idle(self._work(608, [(file, None) for file in islice(self._new, 12)]), 1200)

        self._check(1200, first, 0)
        self._idle(1206, 1800)

        self._paused(1800)
        self._outage(2400)

        self._check(3000, first, 6)
        self._idle(self._work(3006, [(file, None) for file in islice(self._new, 12)]), DURATION_SECONDS)
        return sorted(self._steps, key=lambda step: step.at)  # stable: steps with equal times keep their order

    # -- episodes --------------------------------------------------------------------------------------------------

    def _paused(self, at: float) -> None:
        """Add a pause of three minutes between two batches."""
        self._check(at, [], 0)
        batch = [(file, None) for file in islice(self._new, 12)]
        paused_at = self._work(at + 6, batch[:6], behind=6)
        self._add(paused_at, Update({"status": "paused", "message": "held by an operator"}))
        self._add(paused_at + 180, Update({"message": None}))
        self._idle(self._work(paused_at + 180, batch[6:]), at + CHECK_INTERVAL_SECONDS)

    def _outage(self, at: float) -> None:
        """Add an outage of the embedding service: files in flight fail, and succeed at the second attempt."""
        self._check(at, [], 0)
        error = {
            "type": "EmbeddingError",
            "message": "the embedding service did not answer: connection refused",
            "stage": "embedding",
            "retryable": True,
        }
        files = list(islice(self._new, 10))
        failed_at = self._work(at + 6, [(file, Fail(file, error)) for file in files[:WORKERS]], behind=7)
        self._add(failed_at, Update({"status": "error", "message": error["message"], "files_queued": len(files)}))
        self._add(failed_at + 150, Update({"message": None}))
        self._idle(self._work(failed_at + 150, [(file, None) for file in files]), at + CHECK_INTERVAL_SECONDS)

    def _problem_files(self) -> list[tuple[DemoDocument, Outcome]]:
        """Return the files of the first scan that fail or are skipped."""
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

    # -- building blocks -------------------------------------------------------------------------------------------

    def _check(self, at: float, known: Sequence[tuple[DemoDocument, Outcome]], unchanged: int) -> None:
        """Add a check of the source; the first ``unchanged`` known files are found touched but unchanged."""
        self._add(at, CheckBegins())
        readable = [file for file, outcome in known if outcome is None]
        for file in readable[1 : 1 + unchanged]:
            self._add(at + 3, Skip(file, "unchanged since it was stored"))

    def _idle(self, at: float, next_check_at: float) -> None:
        assert at < next_check_at, "the work of one check must be over before the next"
        self._add(at, Update({"files_queued": 0}))
        self._add(at, Idle(next_check_at, CHECK_INTERVAL_SECONDS))

    def _work(self, at: float, batch: Sequence[tuple[DemoDocument, Outcome]], behind: int = 0) -> float:
        """Process the files, three at a time; return the time of the last end. ``behind`` more stay queued."""
        self._add(at, Update({"status": "processing", "is_checking": False, "files_queued": len(batch) + behind}))
        free = [at + worker * 0.4 for worker in range(WORKERS)]
        for number, (file, outcome) in enumerate(batch, 1):
            started_at = min(free)
            self._add(started_at, Update({"files_queued": len(batch) - number + behind}))
            free[free.index(started_at)] = self._file(started_at, file, outcome) + 0.5
        return max(free)

    def _file(self, at: float, file: DemoDocument, outcome: Outcome) -> float:
        """Process one file; return the time of its end."""
        if isinstance(outcome, Skip) and file.size > 100 * 1024 * 1024:
            self._add(at, outcome)  # known from its type alone
            return at
        self._add(at, Start(file))
        seconds = self._rng.uniform(18, 30) + file.size / (400 * 1024)
        last = STAGES[0][0] if isinstance(outcome, Skip) else outcome.error["stage"] if outcome else None
        for stage, share in STAGES:
            at = self._stage(at, file, stage, seconds * share, breaks=stage == last)
            if stage == last:
                break
        chunks = max(1, file.size // 6000)
        result = {"chunks": chunks, "tokens": chunks * self._rng.randint(180, 240)}
        self._add(at, outcome or Complete(file, result, *_verdict(file)))
        return at

    def _stage(self, at: float, file: DemoDocument, stage: str, seconds: float, *, breaks: bool) -> float:
        """Add the progress of a stage; with ``breaks`` it ends halfway. Return the time of its end."""
        parts = max(2, round(seconds / 2))
        for part in range(parts // 2 + 1 if breaks else parts + 1):
            self._add(at + seconds * part / parts, Progress(file, stage, round(part / parts, 3)))
        return at + seconds * ((parts // 2) / parts if breaks else 1)

    def _add(self, at: float, action: StepAction) -> None:
        self._steps.append(DemoStep(round(at, 3), action))


def _verdict(file: DemoDocument) -> tuple[tuple[dict[str, Any], ...], dict[str, float | None]]:
    """Return warnings and quality of a document's text; some PDFs have scanned pages, some sheets no labels."""
    pages = file.size // 60_000 + 1 if file.name.endswith(".pdf") else None
    scanned = pages // 4 if pages is not None and file.size % 3 == 0 else 0
    warnings: list[dict[str, Any]] = []
    if scanned:
        message = f"{scanned} of {pages} pages have no text (scanned?)"
        warnings.append({"type": "pages_without_text", "message": message, "count": scanned})
    if file.name.endswith(".xlsx") and file.size % 2:
        warnings.append({"type": "rows_without_labels", "message": "rows without labels", "count": file.size % 40 + 1})
    quality = {
        "characters": file.size // 3, "odd_characters": 0.0, "pages": pages,
        "pages_without_text": None if pages is None else scanned,
    }  # fmt: skip
    return tuple(warnings), quality
