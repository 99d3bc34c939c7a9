from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import FileQuery
from rag_pipeline.journal.sqlite.batch_insert import insert, install
from rag_pipeline.journal.sqlite.checkpoints import load_checkpoints, saved_states
from rag_pipeline.journal.sqlite.files import find_files
from rag_pipeline.journal.sqlite.schema import open_writer
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.files import MAX_ATTEMPTS_REMEMBERED
from rag_pipeline.status.model import FileBody, FileRecord
from rag_pipeline.status.outcomes import PROCESSED, SKIPPED
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.saved import SET_FIELDS, SavedState
from rag_pipeline.status.state import PipelineState
from tests.journal.driving import assert_saved, recorded


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_writer(tmp_path / "journal")
    install(made)
    yield made
    made.close()


def keep(db: sqlite3.Connection, events: list[PipelineEvent]) -> SavedState:
    """Write the events in one batch; return the pipeline's saved state."""
    books = load_checkpoints(db)
    (position,) = db.execute(
        "SELECT max(coalesce(max(position), 0), (SELECT coalesce(max(position), 0) FROM files)) FROM pipelines"
    ).fetchone()
    for event in events:
        position = books.note(event, position + event.numbered)
    insert(db, books.take())
    return saved_states(db)["p"]


def listed(db: sqlite3.Connection) -> list[tuple[str, str | None, str]]:
    return [(row.file["name"], row.file["id"], row.status) for row in find_files(db, FileQuery())]


def fresh() -> PipelineState:
    return PipelineState("p", None, "epoch", Moment(0.0, 0.0))


def test_the_fields_are_those_that_a_pipeline_sets() -> None:
    assert set(SET_FIELDS) == fresh().fields.keys()


def test_the_lists_hold_each_file_once_under_its_newest_outcome_and_over_batches(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    for n in range(13):
        pipeline.complete_file("again", success=False, error=str(n))
        pipeline.complete_file(f"f{n}", result=n)
        pipeline.skip_file(f"s{n}", str(n))
        pipeline.complete_file("again", result=n)
        if n in (3, 11):
            keep(db, recorder.events)
            recorder.items.clear()
    core_of(pipeline).flush(everything=True)
    saved = keep(db, recorder.events)
    assert [file.name for file in saved.completed] == [*(f"f{n}" for n in range(4, 13)), "again"]
    assert saved.failed == ()
    assert dict(saved.outcomes) == {
        ("name", "again"): PROCESSED,
        **{("name", f"f{n}"): PROCESSED for n in range(13)},
        **{("name", f"s{n}"): SKIPPED for n in range(13)},
    }
    assert_saved(saved, pipeline)


def test_files_in_flight_are_in_the_order_of_their_last_start(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    for name in ("a", "b", "c", "a"):
        pipeline.add_processing_file(name)
    pipeline.file_progress("b", "reading")
    saved = keep(db, recorder.events)
    assert [(file.name, file.attempt) for file in saved.in_flight] == [("b", 1), ("c", 1), ("a", 2)]
    recorder.items.clear()
    pipeline.file_progress("c", "reading")
    assert [file.name for file in keep(db, recorder.events).in_flight] == ["b", "c", "a"]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_file_whose_id_became_known_at_its_end_leaves_no_second_row(db: sqlite3.Connection, batches: int) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    if batches == 2:
        keep(db, recorder.events)
        recorder.items.clear()
    pipeline.complete_file("a", file_id="1")
    assert keep(db, recorder.events).in_flight == ()
    assert listed(db) == [("a", "1", "completed")]


def test_of_two_files_with_one_name_the_one_without_an_id_stays_in_flight(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    pipeline.add_processing_file("a", "1")
    pipeline.complete_file("a", file_id="1")
    assert [file.id for file in keep(db, recorder.events).in_flight] == [None]
    assert listed(db) == [("a", "1", "completed"), ("a", None, "processing")]


def test_attempts_are_stored_under_the_key_of_the_next_attempt(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    for name, file_id in (("a", "1"), ("b", "2")):
        pipeline.add_processing_file(name)
        pipeline.complete_file(name, success=False, file_id=file_id)
    assert keep(db, recorder.events).failed_attempts == ((("name", "a"), 1), (("name", "b"), 1))
    recorder.items.clear()
    pipeline.add_processing_file("a")
    pipeline.complete_file("a", file_id="3")
    assert keep(db, recorder.events).failed_attempts == ((("name", "b"), 1),)


def test_the_oldest_attempts_are_dropped_over_the_limit(db: sqlite3.Connection) -> None:
    def failed(first: int, last: int) -> list[PipelineEvent]:
        files = [FileRecord(f"file {n}", None) for n in range(first, last + 1)]
        return [
            PipelineEvent("pipeline:file_failed", (), "p", None, "e", n, 1.0, FileBody(file))
            for n, file in enumerate(files, first)
        ]

    assert len(keep(db, failed(1, MAX_ATTEMPTS_REMEMBERED)).failed_attempts) == MAX_ATTEMPTS_REMEMBERED
    first = MAX_ATTEMPTS_REMEMBERED + 1
    names = [key[1] for key, _ in keep(db, failed(first, first + 2)).failed_attempts]
    assert names == [f"file {n}" for n in range(4, first + 3)]


def test_an_older_status_changes_nothing(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="one")
    old = core_of(pipeline).status_event()
    pipeline.update(status="two")
    assert keep(db, [*recorder.events, old]).fields["status"] == "two"
    assert keep(db, [old]).seq == 2


def test_the_last_activity_follows_file_events(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.update(status="running", last_activity=5)
    assert keep(db, recorder.events).fields["last_activity"] == 5
    recorder.items.clear()
    pipeline.add_processing_file("a")
    started = next(event for event in recorder.events if event.numbered)
    assert keep(db, [started]).fields["last_activity"] == started.at


def test_a_pipeline_known_only_from_a_file_has_every_field(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("a")
    saved = keep(db, [event for event in recorder.events if event.name != "pipeline:status"])
    assert saved.fields.keys() == set(SET_FIELDS)
    assert saved.fields["started_at"] == saved.fields["last_activity"]


def test_after_missing_events_the_state_decides(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("ended unseen")
    pipeline.add_processing_file("still there")
    pipeline.complete_file("seen")
    keep(db, recorder.events)
    pipeline.complete_file("ended unseen")
    pipeline.skip_file("skipped unseen", "why not")
    recorder.items.clear()
    core_of(pipeline).begin_epoch()
    saved = keep(db, recorder.events)
    assert_saved(saved, pipeline)
    assert sorted(listed(db)) == [
        ("ended unseen", None, "completed"),
        ("seen", None, "completed"),
        ("skipped unseen", None, "skipped"),
        ("still there", None, "processing"),
    ]
    recorder.items.clear()
    pipeline.complete_file("after")
    core_of(pipeline).flush(everything=True)
    assert_saved(keep(db, recorder.events), pipeline)


def test_calls_before_the_attachment_are_in_the_saved_state(db: sqlite3.Connection) -> None:
    former, recorder = recorded()
    former.complete_file("before")
    core_of(former).flush(everything=True)
    saved = keep(db, recorder.events)
    former.close()
    recorder.items.clear()
    pipeline = PipelineStatus("local_files", "p")
    pipeline.complete_file("not shown to anyone")
    core_of(pipeline).attach(recorder, lambda _: saved)
    again = keep(db, recorder.events)
    assert_saved(again, pipeline)
    assert [file.name for file in again.completed] == ["before", "not shown to anyone"]


def test_an_event_without_a_pipeline_changes_no_checkpoint(db: sqlite3.Connection) -> None:
    body = FileBody(FileRecord("a", None))
    books = load_checkpoints(db)
    books.note(PipelineEvent("pipeline:file_completed", (), None, None, None, 1, 1.0, body), 1)
    insert(db, books.take())
    assert saved_states(db) == {}


def test_a_saved_state_can_be_resumed_from_repeatedly(db: sqlite3.Connection) -> None:
    pipeline, recorder = recorded()
    pipeline.add_processing_file("never finished")
    attempts = []
    for _ in range(4):
        saved = keep(db, recorder.events)
        pipeline.close()
        recorder.items.clear()
        pipeline = PipelineStatus("local_files", "p")
        core_of(pipeline).attach(recorder, {"p": saved}.get)
        pipeline.add_processing_file("never finished")
        attempts.append(pipeline.get()["files_processing"][0]["attempt"])
    assert all(later == earlier + 1 for earlier, later in pairwise(attempts))
    assert attempts[0] == 2
