"""The pure state machine, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline import events
from rag_pipeline.events import Event
from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileBody, FileError, FileRecord
from rag_pipeline.status.state import PROGRESS_INTERVAL_SECONDS, Moment, PipelineState

NO_TEXT = FileError("E", "no text", None, retryable=False)


def at(seconds: float) -> Moment:
    return Moment(1_700_000_000.0 + seconds, 1000.0 + seconds)


def new() -> PipelineState:
    return PipelineState("p", "local_files", "e", at(0))


def file_of(event: Event | None) -> FileRecord:
    assert event is not None
    assert isinstance(event.body, FileBody)
    return event.body.file


def test_each_mutation_returns_one_event_with_the_next_number() -> None:
    state = new()
    key = key_of("a", None)
    made = [
        state.update({"status": "running"}, {}, "local_files", at(1)),
        state.start_file(FileRecord("a", None), at(2)),
        state.progress(key, "chunking", 0.5, at(3)),
        state.complete(key, FileRecord("a", None), None, None, at(4)),
        state.skip(None, FileRecord("b", None), "too large", at(5)),
        state.delete(None, FileRecord("c", None), at(6)),
    ]
    assert [e.seq for e in made if e] == [1, 2, 3, 4, 5, 6]
    assert [e.name for e in made if e] == [
        events.STATUS,
        events.FILE_STARTED,
        events.FILE_PROGRESS,
        events.FILE_COMPLETED,
        events.FILE_SKIPPED,
        events.FILE_DELETED,
    ]
    assert {e.namespaces for e in made if e} == {("/local_files", "/pipeline")}


def test_a_file_is_measured_by_the_monotonic_clock() -> None:
    state = new()
    state.start_file(FileRecord("a", None), Moment(5000.0, 10.0))
    done = file_of(state.complete(key_of("a", None), FileRecord("a", None), None, None, Moment(100.0, 12.5)))
    assert (done.started_at, done.completed_at, done.duration_seconds) == (5000.0, 100.0, 2.5)


def test_a_failure_shows_the_stage_the_file_was_in_unless_it_says_another() -> None:
    state = new()
    for own, shown in ((None, "embedding"), ("storing", "storing")):
        state.start_file(FileRecord("a", None), at(1))
        state.progress(key_of("a", None), "embedding", None, at(2))
        failed = file_of(
            state.complete(key_of("a", None), FileRecord("a", None), None, NO_TEXT._replace(stage=own), at(3))
        )
        assert failed.error is not None
        assert failed.error.stage == shown


def test_attempts_count_up_through_failures_and_start_over_after_any_other_end() -> None:
    state = new()
    key, file = key_of("a", None), FileRecord("a", None)

    def attempt() -> int:
        return file_of(state.start_file(file, at(1))).attempt

    ends: tuple[Callable[[], Event], ...] = (
        lambda: state.complete(key, file, None, None, at(2)),
        lambda: state.skip(key, file, "why", at(2)),
        lambda: state.delete(key, file, at(2)),
    )
    for end in ends:
        assert attempt() == 1
        state.complete(key, file, None, NO_TEXT, at(2))
        assert attempt() == 2
        assert attempt() == 3  # restarted in flight
        end()
    assert attempt() == 1


def test_fast_progress_is_held_back_and_the_last_value_goes_out() -> None:
    state = new()
    key = key_of("a", None)
    state.start_file(FileRecord("a", None), at(0))
    assert state.progress(key, "s", 0.1, at(0.001)) is not None
    for n in range(2, 9):
        assert state.progress(key, "s", n / 10, at(n / 1000)) is None
    assert state.files[key].progress == 0.8  # the state changed at once
    assert state.seq == 2
    assert state.release(at(0.05)) == []
    (event,) = state.release(at(0.001 + PROGRESS_INTERVAL_SECONDS + 0.01))
    assert (file_of(event).progress, event.seq) == (0.8, 3)
    assert state.release(at(9)) == []
    assert state.next_release() is None


def test_a_restart_does_not_lift_the_limit() -> None:
    state = new()
    key, file = key_of("a", None), FileRecord("a", None)
    state.start_file(file, at(0))
    assert state.progress(key, "s", 0.1, at(0.001)) is not None
    assert state.progress(key, "s", 0.2, at(0.002)) is None
    state.start_file(file, at(0.003))
    assert state.release_all(at(0.004)) == []  # what was held is of the former attempt
    assert state.progress(key, "s", 0.3, at(0.005)) is None


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=120), st.booleans())
def test_progress_of_one_file_is_at_most_10_a_second_and_ends_with_the_last_value(
    gaps: list[float], finish: bool
) -> None:
    state = new()
    key, file = key_of("a", None), FileRecord("a", None)
    state.start_file(file, at(0))
    now = 0.0
    sent: list[tuple[float, float | None]] = []

    def note(event: Event | None) -> None:
        if event is not None:
            sent.append((event.at, file_of(event).progress))

    for n, gap in enumerate(gaps):
        until = now + gap
        while (due := state.next_release()) is not None and due - 1000.0 <= until:
            now = max(now, due - 1000.0)
            for event in state.release(at(now)):
                note(event)
        now = until
        note(state.progress(key, "s", n / len(gaps), at(now)))
    if finish:
        note(state.release_one(key, at(now)))
        state.complete(key, file, None, None, at(now))
    else:
        while (due := state.next_release()) is not None:
            assert due - 1000.0 <= now + PROGRESS_INTERVAL_SECONDS + 0.011
            for event in state.release(at(due - 1000.0)):
                note(event)
    assert sent[-1][1] == (len(gaps) - 1) / len(gaps)
    assert len(sent) == len(set(sent))
    for first, _ in sent:
        assert sum(1 for t, _ in sent if first <= t < first + 1.0) <= 10


def test_lists_of_files_that_ended_are_bounded_and_totals_are_not() -> None:
    state = new()
    for n in range(30):
        file = FileRecord(f"f{n}", None)
        state.complete(None, file, None, None, at(n))
        state.complete(None, file, None, NO_TEXT, at(n))
        state.skip(None, file, "why", at(n))
        state.delete(None, file, at(n))
    body = state.body(at(31))
    assert [f.name for f in body.files_completed] == [f"f{n}" for n in range(20, 30)]
    assert [f.name for f in body.files_failed] == [f"f{n}" for n in range(25, 30)]
    assert [f.name for f in body.files_skipped] == [f"f{n}" for n in range(25, 30)]
    assert body.totals == (30, 30, 30, 30)
    assert body.seq == 120


def test_eta_is_known_once_queue_and_rate_are() -> None:
    state = new()
    state.start_file(FileRecord("a", None), at(0))
    state.complete(key_of("a", None), FileRecord("a", None), None, None, at(2))
    assert state.body(at(2)).files_per_minute == 30.0
    assert state.body(at(2)).eta_seconds is None
    state.update({"files_queued": 3}, {}, "local_files", at(2))
    state.start_file(FileRecord("b", None), at(2))
    assert state.body(at(2)).eta_seconds == 8.0  # three queued and one in flight, two seconds each
    assert state.body(at(2000)).eta_seconds is None


def test_failed_and_skipped_files_count_as_done() -> None:
    state = new()
    state.start_file(FileRecord("a", None), at(0))
    state.complete(key_of("a", None), FileRecord("a", None), None, NO_TEXT, at(1))
    state.skip(None, FileRecord("b", None), "why", at(2))
    assert state.body(at(2)).files_per_minute == 60.0


def test_a_change_of_type_is_told_to_those_who_watched_the_old_one() -> None:
    event = new().update({}, {}, "google_drive", at(1))
    assert event.namespaces == ("/google_drive", "/local_files", "/pipeline")
    assert event.pipeline_type == "google_drive"


def test_a_state_that_went_out_never_changes() -> None:
    state = new()
    state.update({}, {"a": 1}, None, at(1))
    before = state.body(at(1)).to_json(0)
    body = state.body(at(1))
    state.update({"status": "x"}, {"a": 2}, None, at(2))
    state.start_file(FileRecord("f", None), at(2))
    assert body.to_json(0) == before


def test_nothing_is_kept_of_files_that_ended() -> None:
    state = new()
    for n in range(1000):
        key, file = key_of(f"f{n}", None), FileRecord(f"f{n}", None)
        state.start_file(file, at(n))
        state.progress(key, "s", 0.1, at(n))
        state.progress(key, "s", 0.2, at(n))
        state.complete(key, file, None, None, at(n))
    assert [*state._started, *state._progress_sent, *state._held] == []
    assert len(state.files) == 0


def test_stages_are_measured_until_the_next_one_and_the_end_whatever_end_that_is() -> None:
    state = new()
    ends: list[Callable[[FileRecord, Moment], Event]] = [
        lambda file, now: state.complete(key_of("a", None), file, None, None, now),
        lambda file, now: state.complete(key_of("a", None), file, None, NO_TEXT, now),
        lambda file, now: state.skip(key_of("a", None), file, "too large", now),
        lambda file, now: state.delete(key_of("a", None), file, now),
    ]
    for end in ends:
        state.start_file(FileRecord("a", None), at(0))
        state.progress(key_of("a", None), "extracting", 0.0, at(1))
        state.progress(key_of("a", None), "extracting", 0.5, at(2))
        state.progress(key_of("a", None), "embedding", None, at(4))
        end(FileRecord("a", None), at(9))
    times = state.times.durations()
    assert {stage: (sum(one.counts), one.sum_seconds) for stage, one in times.stages} == {
        "extracting": (4, 12.0),
        "embedding": (4, 20.0),
    }
    assert (times.completed.sum_seconds, times.failed.sum_seconds) == (9.0, 9.0)


def test_what_was_never_started_has_no_duration_and_a_new_attempt_is_measured_alone() -> None:
    state = new()
    state.complete(None, FileRecord("b", None), None, None, at(1))
    state.start_file(FileRecord("a", None), at(0))
    state.progress(key_of("a", None), "extracting", None, at(0))
    state.start_file(FileRecord("a", None), at(100))
    state.progress(key_of("a", None), "extracting", None, at(101))
    state.complete(key_of("a", None), FileRecord("a", None), None, None, at(103))
    times = state.times.durations()
    assert [(stage, one.sum_seconds) for stage, one in times.stages] == [("extracting", 2.0)]
    assert (sum(times.completed.counts), times.completed.sum_seconds) == (1, 3.0)
