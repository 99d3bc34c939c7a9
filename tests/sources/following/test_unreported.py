"""Reports that a kill took from the journal are repeated, until store, ledger and status agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_pipeline.sources import ingestion
from rag_pipeline.sources.ledger import Ledger, Outcome
from rag_pipeline.sources.source import Unreadable
from rag_pipeline.status.control import Action, ControlError
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileRecord, FileTotals
from rag_pipeline.status.pipeline import core_of
from rag_pipeline.status.saved import SET_FIELDS, SavedState
from tests.sources.following.memory_source import Following, following
from tests.sources.local_files.running import running
from tests.sources.memory_stages import MemoryStore
from tests.support.recorder import Recorder

pytestmark = pytest.mark.slow

ENDS = ("completed", "failed", "skipped", "deleted")


def saved(pipeline_id: str, epoch: str, seq: int, *in_flight: str) -> SavedState:
    """Return the state in a journal, up to an event of the last process."""
    fields = {**dict.fromkeys(SET_FIELDS), "status": "processing", "started_at": 1.0, "is_checking": False}
    files = tuple(FileRecord(f"{file_id}.txt", file_id, attempt=1) for file_id in in_flight)
    return SavedState(pipeline_id, "google_drive", epoch, seq, fields, {}, FileTotals(), in_flight=files)


class First:
    """A finished run of the pipeline: its state, and its sequence numbers."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = MemoryStore()
        with following(base, self.store, start=False) as run:
            for file_id in ("a", "b"):
                run.source.write(file_id, f"text of {file_id}")
            run.source.unreadable["odd"] = Unreadable("odd", "entry.txt", "a map has no text", is_error=False)
            run.thread.start()
            run.wait(lambda: run.state()["total_processed"] == 2 and run.state()["total_skipped"] == 1)
            run.wait_status("idle")
            self.source = run.source
            self.at = {
                event.payload()["file"]["id"]: event.seq
                for event in run.seen.events
                if event.name.removeprefix("pipeline:file_") in ENDS
            }
            state = run.state()
            self.epoch, self.seq = state["epoch"], state["seq"]

    @contextmanager
    def next(
        self, seq: int, *in_flight: str, epoch: str | None = None, failed_attempts: tuple[tuple[Key, int], ...] = ()
    ) -> Iterator[Following]:
        """Run the pipeline again; the journal has the events up to ``seq``, with these files in flight."""
        with following(self.base, self.store, start=False) as run:
            for name in ("files", "texts", "unreadable"):
                setattr(run.source, name, getattr(self.source, name))
            kept = saved(run.status.pipeline_id, epoch or self.epoch, seq, *in_flight)
            kept = kept._replace(failed_attempts=failed_attempts)
            core_of(run.status).attach(Recorder(), lambda _: kept)
            run.seen.items.clear()
            run.thread.start()
            run.wait_status("idle")
            run.wait_scan()
            yield run

    @contextmanager
    def kill_at_start(self, seq: int, *in_flight: str) -> Iterator[None]:
        """Start, and end before the first scan has ended."""
        with following(self.base, self.store, start=False) as run:
            kept = saved(run.status.pipeline_id, self.epoch, seq, *in_flight)
            core_of(run.status).attach(Recorder(), lambda _: kept)
            run.source.hold_scan.clear()
            run.thread.start()
            assert run.source.scan_held.wait(run.seconds)
            yield

    def ended(self, run: Following) -> dict[str, list[str]]:
        """Return the ids of the reported files, by kind."""
        return {kind: sorted(found) for kind in ENDS if (found := run.ended(kind))}


@pytest.fixture
def first(tmp_path: Path) -> First:
    return First(tmp_path)


def test_outcomes_in_the_journal_are_not_reported_again(first: First) -> None:
    with first.next(first.seq) as run:
        assert first.ended(run) == {}
        assert run.source.fetched == []


@pytest.mark.parametrize("kept", ["nothing of it", "its start"])
def test_a_stored_file_whose_report_was_lost_is_reported_as_completed(first: First, kept: str) -> None:
    in_flight = ("a",) if kept == "its start" else ()
    with first.next(min(first.at.values()) - 1, *in_flight) as run:
        assert first.ended(run) == {"completed": ["a", "b"], "skipped": ["odd"]}
        assert first.store.writes == {"a": 1, "b": 1}
        assert [file["attempt"] for file in run.files("completed") if file["id"] == "a"] == [1 + len(in_flight)]
        with pytest.raises(ControlError, match="has not failed"):
            run.ask(Action.RETRY, "a")
    with first.next(first.seq + 1000) as again:
        assert first.ended(again) == {}


def test_reports_of_an_epoch_unknown_to_the_journal_are_repeated(first: First) -> None:
    with first.next(first.seq, epoch="another") as run:
        assert first.ended(run) == {"completed": ["a", "b"], "skipped": ["odd"]}


def test_a_lost_deletion_is_reported_again(first: First) -> None:
    with first.next(first.seq) as run:
        run.source.remove("a")
        run.source.unreadable.clear()
        run.wait(lambda: run.state()["total_deleted"] == 2)
        seq = run.state()["seq"]
    with first.next(first.seq) as again:
        assert first.ended(again) == {"deleted": ["a", "odd"]}
        assert [file["name"] for file in again.files("deleted")] == ["a.txt", "entry.txt"]
    with first.next(seq + 1000) as third:
        assert first.ended(third) == {}


def test_a_lost_deletion_is_not_reported_if_the_file_is_back(first: First) -> None:
    back = first.source.files["a"]
    with first.next(first.seq) as run:
        run.source.remove("a")
        run.wait(lambda: run.state()["total_deleted"] == 1)
    first.source.files["a"] = back
    with first.next(first.seq) as again:
        assert first.ended(again) == {"completed": ["a"]}
        assert first.store.writes["a"] == 2


def test_an_interrupted_file_that_is_gone_is_reported_as_deleted(first: First) -> None:
    first.source.remove("b")
    with first.next(first.seq, "b", "never stored") as run:
        # A stored file may have moved, so a second scan must miss it too; it may be the one after the next.
        run.wait(lambda: first.ended(run) == {"deleted": ["b", "never stored"]})
        assert list(first.store.texts()) == ["a"]


def test_an_interrupted_file_is_reported_as_deleted_after_a_second_kill_too(first: First) -> None:
    with first.kill_at_start(first.seq, "never stored"):
        pass
    with first.next(first.seq + 10) as run:
        assert first.ended(run) == {"deleted": ["never stored"]}


def test_an_interrupted_file_is_reported_as_deleted_after_a_start_killed_before_the_ledger_opened(
    first: First,
) -> None:
    failed = ((key_of("gone.txt", "gone"), 1), (key_of("a.txt", "a"), 1))
    with first.next(first.seq, failed_attempts=failed) as run:
        assert first.ended(run) == {"completed": ["a"], "deleted": ["gone"]}


def test_a_file_missing_from_the_store_is_stored_again_or_deleted(first: First) -> None:
    first.store.kept.clear()
    first.source.remove("b")
    with first.next(first.seq) as run:
        assert first.ended(run) == {"completed": ["a"], "deleted": ["b"]}


def test_a_second_kill_before_the_report_does_not_lose_it(first: First) -> None:
    with Ledger(first.base / "state", "scope") as ledger:
        ledger.remove("gone", "gone.txt")
    for seq in (first.seq, first.seq):
        with first.next(seq) as run:
            assert first.ended(run) == {"deleted": ["gone"]}


def test_a_file_that_is_readable_again_and_unchanged_is_reported_as_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as run:
        path = run.write("a.txt", "one")
        run.wait_idle(processed=1)
        with monkeypatch.context() as broken:

            def fail(*_: object, **__: object) -> str:
                raise OSError(5, "Input/output error")

            broken.setattr(ingestion, "fingerprint", fail)
            path.touch()
            run.wait(lambda: run.rows()["a.txt"].outcome is Outcome.FAILED)
        path.touch()
        run.wait(lambda: run.ended("completed") == ["a.txt", "a.txt"])
        assert run.files("completed")[-1]["result"] == {"unchanged": True}
        assert run.store.writes == {"a.txt": 1}
