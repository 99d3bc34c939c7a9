"""The pure state machine, on the test's own clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.status.clocks import Moment
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord, FileWarning
from rag_pipeline.status.mutation import Mutation
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED
from rag_pipeline.status.state import PROGRESS_INTERVAL_SECONDS, PipelineState

NO_TEXT = FileFailure("E", "no text", None, retryable=False)


def at(seconds: float) -> Moment:
    return Moment(1_700_000_000.0 + seconds, 1000.0 + seconds)


class Driven(PipelineState):
    """Applies each decided mutation twice, because an interrupted one is repeated."""

    def do(self, change: Mutation) -> list[PipelineEvent]:
        for _ in range(2):
            change.apply(*change.args)
        status = [self.status_event(change.now, change.former_type, numbered=change.numbered)] if change.status else []
        return [*change.events, *status]

    def update(self, fields: dict[str, Any], own: dict[str, Any], kind: str | None, now: Moment) -> PipelineEvent:
        return self.do(self.decide_update(fields, {**self.own, **own}, kind, now))[0]

    def start_file(self, file: FileRecord, now: Moment) -> PipelineEvent:
        return self.do(self.decide_start(file, now))[0]

    def progress(self, key: Key, stage: str, progress: float | None, now: Moment) -> PipelineEvent | None:
        return next(iter(self.do(self.decide_progress(key, stage, progress, now))), None)

    def complete(self, file: FileRecord, error: FileFailure | None, now: Moment, result: Any = None) -> PipelineEvent:
        return self.do(self.decide_end(file, PROCESSED if error is None else FAILED, result, 0, error, now))[-1]

    def skip(self, file: FileRecord, reason: str, now: Moment) -> PipelineEvent:
        error = FileFailure("Skipped", reason, None, retryable=False)
        return self.do(self.decide_end(file, SKIPPED, None, 0, error, now))[-1]

    def delete(self, file: FileRecord, now: Moment) -> PipelineEvent:
        return self.do(self.decide_end(file, DELETED, None, 0, None, now))[-1]

    def release(self, now: Moment, *, everything: bool = False) -> list[PipelineEvent]:
        return self.do(self.decide_release(now, everything=everything))

    def next_release(self) -> float | None:
        return min((flight.due for flight in self._held.values() if flight.due is not None), default=None)


def new() -> Driven:
    return Driven("p", "local_files", "e", at(0))


def file_of(event: PipelineEvent | None) -> FileRecord:
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
        state.complete(FileRecord("a", None), None, at(4)),
        state.skip(FileRecord("b", None), "too large", at(5)),
        state.delete(FileRecord("c", None), at(6)),
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
    done = file_of(state.complete(FileRecord("a", None), None, Moment(100.0, 12.5)))
    assert (done.started_at, done.completed_at, done.duration_seconds) == (5000.0, 100.0, 2.5)


def test_a_failure_has_the_stage_of_the_file_unless_it_names_another() -> None:
    state = new()
    for own, shown in ((None, "embedding"), ("storing", "storing")):
        state.start_file(FileRecord("a", None), at(1))
        state.progress(key_of("a", None), "embedding", None, at(2))
        failed = file_of(state.complete(FileRecord("a", None), NO_TEXT._replace(stage=own), at(3)))
        assert failed.error is not None
        assert failed.error.stage == shown


def test_attempts_rise_with_failures_and_start_over_after_any_other_end() -> None:
    state = new()
    file = FileRecord("a", None)

    def attempt() -> int:
        return file_of(state.start_file(file, at(1))).attempt

    ends: tuple[Callable[[], PipelineEvent], ...] = (
        lambda: state.complete(file, None, at(2)),
        lambda: state.skip(file, "why", at(2)),
        lambda: state.delete(file, at(2)),
    )
    for end in ends:
        assert attempt() == 1
        state.complete(file, NO_TEXT, at(2))
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
    assert state.files[key].record.progress == 0.8  # the state changed at once
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
    assert state.release(at(0.004), everything=True) == []  # the held-back progress belongs to the former attempt
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

    def note(event: PipelineEvent | None) -> None:
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
        for event in state.do(state.decide_end(file, PROCESSED, None, 0, None, at(now)))[:-1]:
            note(event)
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
        state.complete(file, None, at(n))
        state.complete(FileRecord(f"x{n}", None), NO_TEXT, at(n))
        state.skip(FileRecord(f"s{n}", None), "why", at(n))
        state.delete(FileRecord(f"d{n}", None), at(n))
    body = state.body(at(31))
    assert [f.name for f in body.files_completed] == [f"f{n}" for n in range(20, 30)]
    assert [f.name for f in body.files_failed] == [f"x{n}" for n in range(25, 30)]
    assert [f.name for f in body.files_skipped] == [f"s{n}" for n in range(25, 30)]
    assert body.totals == (30, 30, 30, 30, 0)
    assert body.seq == 120


def test_eta_is_known_once_queue_and_rate_are() -> None:
    state = new()
    work(state, at, 0, 10)
    assert state.body(at(20)).files_per_minute == 30.0
    assert state.body(at(20)).eta_seconds is None
    state.update({"files_queued": 3}, {}, "local_files", at(20))
    state.start_file(FileRecord("b", None), at(20))
    assert state.body(at(20)).eta_seconds == 8.0  # three queued and one in flight, two seconds each


def work(state: Driven, clock: Callable[[float], Moment], first: int, count: int) -> None:
    """Complete files that take two seconds each."""
    for n in range(first, first + count):
        file = FileRecord(f"w{n}", None)
        state.start_file(file, clock(2 * n))
        state.complete(file, NO_TEXT if n % 3 == 0 else None, clock(2 * n + 2))


def test_skipped_files_count_as_done_but_not_as_work() -> None:
    state = new()
    work(state, at, 0, 10)
    before = state.body(at(20)).files_per_minute
    for n in range(1000):
        state.skip(FileRecord(f"s{n}", None), "unchanged", at(20))
    assert state.body(at(20)).files_per_minute == before == 30.0
    assert state.body(at(20)).totals.total_skipped == 1000


@pytest.mark.parametrize("status", ["paused", "error", "stopped"])
def test_rate_and_eta_stay_while_the_pipeline_is_halted(status: str) -> None:
    state = new()
    work(state, at, 0, 10)
    state.update({"files_queued": 30, "status": "processing"}, {}, "local_files", at(20))
    shown = state.body(at(20))
    state.update({"status": status}, {}, "local_files", at(20))
    for seconds in (21, 200, 40_000):
        body = state.body(at(seconds))
        assert (body.files_per_minute, body.eta_seconds) == (shown.files_per_minute, shown.eta_seconds)
    state.update({"status": "processing"}, {}, "local_files", at(40_000))
    body = state.body(at(40_000))
    assert (body.files_per_minute, body.eta_seconds) == (shown.files_per_minute, shown.eta_seconds)


def test_the_eta_does_not_grow_while_a_file_hangs() -> None:
    state = new()
    work(state, at, 0, 10)
    state.update({"files_queued": 30}, {}, "local_files", at(20))
    state.start_file(FileRecord("hangs", None), at(20))
    later = [state.body(at(seconds)).eta_seconds for seconds in (100, 1_000, 50_000)]
    assert later[0] is not None
    assert later == [later[0]] * 3


def test_a_fraction_never_goes_back_within_a_stage() -> None:
    state = new()
    key = key_of("a", None)
    state.start_file(FileRecord("a", None), at(0))
    shown = []
    for n, (stage, fraction) in enumerate(
        [("read", 0.5), ("read", 0.2), ("read", None), ("read", 0.6), ("embed", 0.1), ("embed", None), ("store", None)]
    ):
        state.progress(key, stage, fraction, at(n))
        shown.append(state.files[key].record.progress)
    assert shown == [0.5, 0.5, 0.5, 0.6, 0.1, 0.1, None]
    state.start_file(FileRecord("a", None), at(10))
    assert state.files[key].record.progress is None


def test_the_status_is_derived_until_the_pipeline_sets_it() -> None:
    state = new()
    file = FileRecord("a", None)
    assert state.body(at(0)).status == "initializing"
    state.start_file(file, at(1))
    assert state.body(at(1)).status == "processing"
    state.complete(file, None, at(2))
    assert state.body(at(2)).status == "idle"
    state.update({"status": "running"}, {}, "local_files", at(3))
    state.start_file(file, at(4))
    assert state.body(at(4)).status == "running"


def test_a_check_that_found_nothing_is_not_numbered() -> None:
    state = new()
    state.update({"status": "idle", "files_queued": 0}, {"mine": 1}, "local_files", at(1))
    steps: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
        ({"is_checking": True}, {}, False),
        ({"is_checking": False, "last_check_time": 5.0, "next_check_time": 9.0, "status": "idle"}, {}, False),
        ({"last_check_time": 6.0, "files_queued": 0}, {"mine": 1}, False),
        ({"last_check_time": 7.0, "files_queued": 1}, {}, True),
        ({"last_check_time": 7.0}, {"mine": 2}, True),
        ({"status": "idle"}, {}, True),
        ({}, {}, True),
    ]
    for fields, own, is_numbered in steps:
        seq = state.seq
        event = state.update(fields, own, "local_files", at(2))
        assert event.numbered is is_numbered
        assert (event.seq, state.seq) == (seq + is_numbered, seq + is_numbered)
    assert state.body(at(3)).last_check_time == 7.0


def test_each_file_counts_once_under_its_newest_outcome() -> None:
    state = new()
    file = FileRecord("a", "1")
    state.start_file(file, at(1))
    state.complete(file, NO_TEXT, at(2))
    assert (state.totals, [f.id for f in state.body(at(2)).files_failed]) == ((0, 1, 0, 0, 0), ["1"])
    started = state.start_file(file, at(3))
    assert isinstance(started.body, FileBody)
    assert (started.body.totals, state.totals) == ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    assert state.body(at(3)).files_failed == ()
    state.complete(file, None, at(4))
    state.complete(file, None, at(5))
    body = state.body(at(5))
    assert (body.totals, [f.id for f in body.files_completed], body.files_failed) == ((1, 0, 0, 0, 0), ["1"], ())
    state.skip(file, "unchanged", at(6))
    assert state.body(at(6)).files_completed == ()
    assert state.totals == (0, 0, 1, 0, 0)
    state.delete(file, at(7))
    assert (state.totals, state.body(at(7)).files_skipped) == ((0, 0, 0, 1, 0), ())
    assert state.body(at(7)).attempts == (2, 1, 1, 1, 0)


def test_a_file_with_warnings_counts_until_it_completes_without() -> None:
    state = new()
    file = FileRecord("a", "1")
    warned = file._replace(warnings=(FileWarning("odd", "some text is odd", 2),), quality={"pages": 1})
    state.start_file(file, at(1))
    event = state.complete(warned, None, at(2))
    assert file_of(event).warnings == warned.warnings
    assert file_of(event).quality == {"pages": 1}
    assert state.totals == state.body(at(2)).attempts == (1, 0, 0, 0, 1)
    state.complete(warned, None, at(3))
    assert (state.totals, state.body(at(3)).attempts) == ((1, 0, 0, 0, 1), (2, 0, 0, 0, 2))
    assert [listed.id for listed in state.body(at(3)).files_completed] == ["1"]
    state.start_file(file, at(4))
    assert (state.totals, state.body(at(4)).files_completed) == ((0, 0, 0, 0, 0), ())
    state.complete(file, None, at(5))
    assert state.totals == (1, 0, 0, 0, 0)
    assert [listed.warnings for listed in state.body(at(5)).files_completed] == [()]
    state.complete(warned, None, at(6))
    state.delete(file, at(7))
    assert (state.totals, state.body(at(7)).files_completed) == ((0, 0, 0, 1, 0), ())


def test_warnings_of_a_file_in_flight_are_shown_once_it_completes() -> None:
    state = new()
    file = FileRecord("a", "1")
    state.start_file(file, at(1))
    for count in (1, 2):
        assert state.do(state.decide_warning(("id", "1"), FileWarning("odd", "odd", count), at(2))) == []
    assert state.body(at(2)).files_processing[0].warnings == ()
    event = state.complete(file._replace(warnings=(FileWarning("w", "later"),)), None, at(3))
    assert file_of(event).warnings == (("odd", "odd", 3), ("w", "later", 1))
    assert state.body(at(3)).seq == 2


def test_a_failed_file_has_no_warnings_and_a_new_attempt_begins_without() -> None:
    state = new()
    file = FileRecord("a", "1")
    state.start_file(file, at(1))
    state.do(state.decide_warning(("id", "1"), FileWarning("odd", "odd"), at(1)))
    assert file_of(state.complete(file, NO_TEXT, at(2))).warnings == ()
    state.start_file(file, at(3))
    state.do(state.decide_warning(("id", "1"), FileWarning("odd", "odd"), at(3)))
    state.start_file(file, at(4))
    assert file_of(state.complete(file, None, at(5))).warnings == ()
    assert state.totals.total_with_warnings == 0


def test_a_21st_warning_has_no_room() -> None:
    state = new()
    state.start_file(FileRecord("a", None), at(1))
    full = []
    for number in range(21):
        mutation = state.decide_warning(("name", "a"), FileWarning("w", f"fault {number}"), at(1))
        state.do(mutation)
        full.append(mutation.full)
    assert full == [False] * 20 + [True]
    done = file_of(state.complete(FileRecord("a", None), None, at(2)))
    assert [warning.message for warning in done.warnings] == [f"fault {number}" for number in range(20)]


def test_a_large_result_is_whole_in_its_event_and_cut_in_the_list() -> None:
    state = new()
    result = {"chunks": 12, "text": "x" * 250_000, "language": "de"}
    change = state.decide_end(FileRecord("a", None), PROCESSED, result, 250_000, None, at(1))
    (event,) = state.do(change)
    assert file_of(event).result == result
    assert state.body(at(1)).files_completed[0].result == {"chunks": 12, "language": "de"}


def test_a_change_of_type_also_goes_to_the_old_namespace() -> None:
    event = new().update({}, {}, "google_drive", at(1))
    assert event.namespaces == ("/google_drive", "/local_files", "/pipeline")
    assert event.pipeline_type == "google_drive"


def test_a_published_state_never_changes() -> None:
    state = new()
    state.update({}, {"a": 1}, None, at(1))
    before = state.body(at(1)).to_json(0)
    body = state.body(at(1))
    state.update({"status": "x"}, {"a": 2}, None, at(2))
    state.start_file(FileRecord("f", None), at(2))
    assert body.to_json(0) == before


def test_memory_does_not_grow_with_ended_files() -> None:
    state = new()
    for n in range(1000):
        key, file = key_of(f"f{n}", None), FileRecord(f"f{n}", None)
        state.start_file(file, at(n))
        state.progress(key, "s", 0.1, at(n))
        state.progress(key, "s", 0.2, at(n))
        state.complete(file, None, at(n))
    assert not state._held
    assert len(state.files) == 0
    assert not state.files._by_name


def test_stages_are_measured_until_the_next_stage_or_any_end() -> None:
    state = new()
    ends: list[Callable[[FileRecord, Moment], PipelineEvent]] = [
        lambda file, now: state.complete(file, None, now),
        lambda file, now: state.complete(file, NO_TEXT, now),
        lambda file, now: state.skip(file, "too large", now),
        lambda file, now: state.delete(file, now),
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


def test_an_unstarted_file_has_no_duration_and_each_attempt_is_measured_alone() -> None:
    state = new()
    state.complete(FileRecord("b", None), None, at(1))
    state.start_file(FileRecord("a", None), at(0))
    state.progress(key_of("a", None), "extracting", None, at(0))
    state.start_file(FileRecord("a", None), at(100))
    state.progress(key_of("a", None), "extracting", None, at(101))
    state.complete(FileRecord("a", None), None, at(103))
    times = state.times.durations()
    assert [(stage, one.sum_seconds) for stage, one in times.stages] == [("extracting", 2.0)]
    assert (sum(times.completed.counts), times.completed.sum_seconds) == (1, 3.0)
