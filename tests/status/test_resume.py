"""Resuming after a restart: ``seq``, totals and lists come back; files in flight have failed."""

from __future__ import annotations

from rag_pipeline.contract import events
from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileFailure, FileRecord, FileTotals
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.saved import SavedState
from tests.support.recorder import Recorder


def record(name: str, *, attempt: int = 1, file_id: str | None = None) -> FileRecord:
    return FileRecord(name, file_id).started(attempt, 1000.0)


def done(name: str, error: FileFailure | None = None) -> FileRecord:
    return record(name).finished(None, 1001.0, 1.0, None, error)


def saved(**changes: object) -> SavedState:
    state = SavedState(
        "went-on",
        "local_files",
        "the-epoch",
        41,
        {"status": "processing", "last_check_time": 900.0},
        {"folder": "papers", "mine": 1},
        FileTotals(20, 3, 2, 1),
        completed=tuple(done(f"c{n}") for n in range(10)),
        failed=tuple(done(f"x{n}", FileFailure("E", "m", None, retryable=False)) for n in range(5)),
        failed_attempts=((key_of("x1", None), 4),),
    )
    return state._replace(**changes)  # type: ignore[arg-type]


class Setup:
    def __init__(self, state: SavedState | None, pipeline_id: str | None = "went-on") -> None:
        self.asked: list[str] = []
        self.recorder = Recorder()
        self.pipeline = PipelineStatus("local_files", pipeline_id)
        self.state = state

    def attach(self) -> None:
        core_of(self.pipeline).attach(self.recorder, self.restore)

    def restore(self, pipeline_id: str) -> SavedState | None:
        self.asked.append(pipeline_id)
        return self.state

    def close(self) -> None:
        self.pipeline.close()


def test_seq_totals_and_lists_are_resumed() -> None:
    setup = Setup(saved())
    setup.attach()
    setup.pipeline.update(status="scanning", own={"mine": 2})
    state = setup.pipeline.get()
    assert (state["epoch"], state["seq"], state["total_processed"], state["total_failed"]) == ("the-epoch", 42, 20, 3)
    assert [file["name"] for file in state["files_completed"]] == [f"c{n}" for n in range(10)]
    assert (state["status"], state["folder"], state["mine"]) == ("scanning", "papers", 2)
    assert state["last_check_time"] == "1970-01-01T00:15:00.000+00:00"
    assert setup.recorder.last["seq"] == 42
    setup.close()


def test_resumed_from_is_known_even_if_a_new_epoch_begins() -> None:
    for reported_before in (False, True):
        setup = Setup(saved())
        if reported_before:
            setup.pipeline.update(status="scanning")
        known = [core_of(setup.pipeline).resumed_from]
        setup.attach()
        setup.pipeline.update(status="scanning")
        assert [*known, core_of(setup.pipeline).resumed_from] == [None, ("the-epoch", 41)]
        setup.close()


def test_files_in_flight_are_resumed_as_failed_and_retryable() -> None:
    setup = Setup(saved(in_flight=(record("a", attempt=2).in_stage("embedding", 0.5, 1000.5), record("b"))))
    setup.attach()
    first, second = setup.recorder.changes[:2]
    assert (first.name, first.seq, second.seq) == (events.FILE_FAILED, 42, 43)
    file = first.payload()["file"]
    assert (file["name"], file["attempt"], file["started_at"]) == ("a", 2, "1970-01-01T00:16:40.000+00:00")
    assert file["error"] == {
        "type": "Interrupted",
        "message": "the process ended while the file was in flight",
        "stage": "embedding",
        "retryable": True,
    }
    assert first.payload()["totals"]["total_failed"] == 4
    assert setup.pipeline.get()["files_in_flight"] == 0
    setup.pipeline.add_processing_file("a")
    assert setup.recorder.last["file"]["attempt"] == 3
    setup.close()


def test_attempts_of_failed_files_are_resumed() -> None:
    setup = Setup(saved())
    setup.attach()
    setup.pipeline.add_processing_file("x1")
    setup.pipeline.add_processing_file("new")
    assert [file["attempt"] for file in setup.pipeline.get()["files_processing"]] == [5, 1]
    setup.close()


def test_earlier_reports_of_this_process_are_added() -> None:
    setup = Setup(saved(in_flight=(record("a"),)))
    setup.pipeline.update(status="running")
    setup.pipeline.complete_file("mine")
    setup.pipeline.add_processing_file("a")
    setup.attach()
    state = setup.pipeline.get()
    assert state["epoch"] != "the-epoch", "what was numbered before is in no journal"
    assert (state["seq"], state["total_processed"]) == (3, 21)
    assert state["files_completed"][-1]["name"] == "mine"
    assert state["files_in_flight"] == 1, "it is being worked on: not interrupted"
    assert setup.recorder.changes == []
    setup.close()


def test_a_pipeline_without_an_id_resumes_once_it_has_one() -> None:
    setup = Setup(None, pipeline_id=None)
    setup.attach()
    assert setup.asked == []
    setup.pipeline.update(status="running")
    setup.pipeline.update(status="idle")
    assert setup.asked == [setup.pipeline.pipeline_id]
    assert setup.pipeline.get()["seq"] == 2
    setup.close()


def test_a_new_epoch_is_published_with_the_state() -> None:
    setup = Setup(None)
    setup.attach()
    setup.pipeline.update(own={"n": 1})
    old, new = core_of(setup.pipeline).begin_epoch()
    assert [event.epoch for event in setup.recorder.events[-2:]] == [old, new]
    assert setup.recorder.events[-1].payload()["seq"] == 1
    setup.pipeline.update(own={"n": 2})
    assert (setup.recorder.last["epoch"], setup.recorder.last["seq"]) == (new, 2)
    setup.close()


def test_a_snapshot_for_one_receiver_keeps_its_place_in_order() -> None:
    setup = Setup(None)
    setup.attach()
    receiver = object()
    setup.pipeline.update(own={"n": 1})
    assert core_of(setup.pipeline).show_to(setup.recorder, receiver) == "went-on"
    shown = setup.recorder.items[-1]
    assert (shown.receiver, shown.event.seq) == (receiver, 1)  # type: ignore[union-attr]
    setup.pipeline.close()
    assert core_of(setup.pipeline).show_to(setup.recorder, receiver) is None


def test_sinks_attached_before_the_id_is_assigned_do_not_hide_the_saved_state() -> None:
    setup = Setup(saved(), pipeline_id=None)
    terminal = Recorder()
    setup.attach()
    core_of(setup.pipeline).attach(terminal)
    setup.pipeline.update(status="scanning")
    state = setup.pipeline.get()
    assert (state["epoch"], state["seq"], state["total_processed"]) == ("the-epoch", 42, 20)
    setup.close()


def test_the_memory_journal_of_a_second_server_does_not_hide_the_saved_state() -> None:
    for first in (True, False):
        setup = Setup(saved(), pipeline_id=None)
        if first:
            setup.attach()
        core_of(setup.pipeline).attach(Recorder(), lambda _: None)
        if not first:
            setup.attach()
        setup.pipeline.add_processing_file("a.pdf")
        state = setup.pipeline.get()
        assert (state["epoch"], state["seq"], state["total_processed"]) == ("the-epoch", 42, 20)
        setup.close()


def test_the_journal_of_a_stopped_server_is_not_asked() -> None:
    setup = Setup(saved(), pipeline_id=None)
    setup.attach()
    core_of(setup.pipeline).detach(setup.recorder)
    setup.pipeline.update(status="scanning")
    assert setup.asked == []
    assert setup.pipeline.get()["seq"] == 1
    setup.close()
