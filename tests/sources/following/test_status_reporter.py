from __future__ import annotations

from typing import Any

import pytest

from rag_pipeline.common.config import RunMode
from rag_pipeline.sources.following import status_reporter
from rag_pipeline.sources.following.status_reporter import StatusReporter
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


class Bench:
    def __init__(self, mode: RunMode = RunMode.CONTINUOUS) -> None:
        self.status = PipelineStatus("local_files", f"show-{id(self)}")
        self.reporter = StatusReporter(self.status, mode, 10.0)
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)

    def get(self, *fields: str) -> tuple[Any, ...]:
        state = self.status.get()
        return tuple(state.get(field) for field in fields)  # an own field that is None is not there


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_checks_are_shown_with_their_times(bench: Bench) -> None:
    bench.reporter.starting({"folder": "/docs"}, stored=3)
    assert bench.get("status", "folder", "check_interval", "files_stored") == ("initializing", "/docs", 10.0, 3)
    bench.reporter.scan_started()
    assert bench.get("status", "is_checking") == ("scanning", True)  # the first one
    bench.reporter.scan_ended({}, 4.0, watching="events")
    assert bench.get("is_checking", "watching", "message") == (False, "events", None)
    assert 3 < bench.get("seconds_until_next_check")[0] <= 4


def test_a_single_pass_announces_no_other_check() -> None:
    bench = Bench(RunMode.SINGLE)
    bench.reporter.starting({}, stored=0)
    bench.reporter.scan_ended({}, 4.0, watching=None)
    assert bench.get("check_interval", "next_check_time") == (None, None)


def test_the_word_stays_processing_while_a_scan_goes_on_beside_the_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", 0.0)
    bench.reporter.progress(idle=False, queued=2, stored=0)
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking", "files_queued") == ("processing", True, 2)


def test_the_queue_is_shown_now_and_then_and_its_end_at_once(bench: Bench) -> None:
    for left in range(1000, 0, -1):
        bench.reporter.progress(idle=False, queued=left, stored=0)
    assert len(bench.seen.events) < 500
    bench.reporter.progress(idle=True, queued=0, stored=1000)
    assert bench.get("status", "files_queued", "files_stored") == ("idle", 0, 1000)
    emitted = len(bench.seen.events)
    bench.reporter.progress(idle=True, queued=0, stored=1000)
    assert len(bench.seen.events) == emitted


def test_trouble_with_the_folder_is_an_error_with_a_message_until_it_is_over(bench: Bench) -> None:
    bench.reporter.unavailable("the folder can't be read", 1.0, watching="interval", checked=True)
    assert bench.get("status", "message", "files_queued") == ("error", "the folder can't be read", 0)
    bench.reporter.scan_started()
    assert bench.get("status") == ("error",)
    bench.reporter.scan_ended({}, 1.0, watching="interval")
    assert bench.get("status", "message") == ("scanning", None)
    bench.reporter.progress(idle=True, queued=0, stored=0)
    assert bench.get("status", "message") == ("idle", None)


def test_the_end_is_stopped_or_error(bench: Bench) -> None:
    bench.reporter.stopped()
    assert bench.get("status", "next_check_time") == ("stopped", None)
    bench.reporter.error("the disk is full")
    assert bench.get("status", "message") == ("error", "the disk is full")


def test_trouble_that_was_found_without_a_check_leaves_the_time_of_the_last_one(bench: Bench) -> None:
    bench.reporter.scan_ended({}, 1.0, watching="interval")
    checked = bench.get("last_check_time")
    bench.reporter.unavailable("no network", 60.0, watching="interval", checked=False)
    assert bench.get("status", "message", "last_check_time") == ("error", "no network", *checked)
    assert 59 < bench.get("seconds_until_next_check")[0] <= 60


def test_a_pause_is_shown_with_its_time_until_it_is_over(bench: Bench) -> None:
    bench.reporter.progress(idle=False, queued=2, stored=0)
    bench.reporter.paused(1.5)
    assert bench.get("status", "paused_since", "next_check_time") == ("paused", "1970-01-01T00:00:01.500+00:00", None)
    bench.reporter.progress(idle=True, queued=2, stored=1)
    assert bench.get("status", "files_queued") == ("paused", 2)
    bench.reporter.resumed()
    assert bench.get("status", "paused_since") == ("scanning", None)
    bench.reporter.progress(idle=False, queued=2, stored=1)
    assert bench.get("status") == ("processing",)


def test_a_pause_of_the_process_before_is_over_and_so_is_one_at_the_end(bench: Bench) -> None:
    bench.reporter.paused(1.5)
    bench.reporter.stopped()
    assert bench.get("status", "paused_since") == ("stopped", None)
    bench.reporter.paused(1.5)
    bench.reporter.starting({}, stored=0)
    assert bench.get("status", "paused_since") == ("initializing", None)


def test_what_the_source_says_of_itself_is_kept_up_to_date(bench: Bench) -> None:
    bench.reporter.starting({"folder": "1AbC"}, stored=0)
    bench.reporter.scan_ended({"folder": "Papers"}, 1.0, watching="interval")
    assert bench.get("folder") == ("Papers",)


def test_in_trouble_nothing_but_the_number_of_stored_files_is_shown(bench: Bench) -> None:
    bench.reporter.starting({}, stored=3)
    bench.reporter.unavailable("away", 4.0, watching=None, checked=True)
    emitted = len(bench.seen.events)
    bench.reporter.stored(3)
    assert len(bench.seen.events) == emitted
    bench.reporter.stored(4)
    assert bench.get("status", "files_queued", "files_stored") == ("error", 0, 4)


def test_held_deletions_are_an_error_beside_the_work_until_they_are_released(bench: Bench) -> None:
    fields = "status", "message", "deletions_held", "files_queued"
    bench.reporter.deletions_held(30, "30 of 40 files are gone")
    bench.reporter.scan_ended({}, 1.0, watching="events")
    bench.reporter.progress(idle=False, queued=2, stored=40)
    assert bench.get(*fields) == ("error", "30 of 40 files are gone", 30, 2)
    bench.reporter.paused(1.5)
    assert bench.get(*fields) == ("paused", "30 of 40 files are gone", 30, 2)
    bench.reporter.resumed()
    bench.reporter.unavailable("away", 1.0, watching="events", checked=True)
    assert bench.get(*fields) == ("error", "away", 30, 0)
    bench.reporter.scan_ended({}, 1.0, watching="events")
    assert bench.get(*fields) == ("error", "30 of 40 files are gone", 30, 0)
    bench.reporter.deletions_held(0, None)
    bench.reporter.scan_ended({}, 1.0, watching="events")
    bench.reporter.progress(idle=True, queued=0, stored=40)
    assert bench.get(*fields) == ("idle", None, None, 0)


def test_deletions_that_the_process_before_has_held_are_judged_anew(bench: Bench) -> None:
    bench.status.update(own={"deletions_held": 30})
    bench.reporter.starting({}, stored=40)
    assert bench.get("deletions_held") == (None,)
    bench.reporter.deletions_held(30, "30 of 40 files are gone")
    bench.reporter.scan_ended({}, 1.0, watching="events")
    bench.reporter.stopped()
    assert bench.get("status", "message", "deletions_held") == ("stopped", None, None)


def check_fields(bench: Bench) -> set[str]:
    """Return the fields of the state that a look has changed."""
    before = bench.status.get()
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    bench.reporter.scan_ended({"folder": "/docs"}, 4.0, watching="events")
    bench.reporter.progress(idle=True, queued=0, stored=3)
    derived = {"seq", "last_activity", "seconds_until_next_check"}
    after = bench.status.get()
    return {key for key in after if key not in before or after[key] != before[key]} - derived


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_look_that_finds_nothing_new_changes_the_times_of_the_checks_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", seconds)
    bench.reporter.starting({"folder": "/docs"}, stored=3)
    check_fields(bench)
    for _ in range(3):
        assert check_fields(bench) <= {"last_check_time", "next_check_time"}


def test_only_a_look_that_takes_long_is_shown_while_it_lasts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.reporter.progress(idle=True, queued=0, stored=3)
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking") == ("idle", False)
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", 0.0)
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking") == ("idle", True)
    bench.reporter.scan_ended({}, 4.0, watching="events")
    assert bench.get("status", "is_checking") == ("idle", False)


def test_trouble_that_lasts_is_told_once(bench: Bench) -> None:
    for _ in range(2):
        bench.reporter.scan_started()
        bench.reporter.unavailable("the folder is gone", 1.0, watching="interval", checked=True)
    before = bench.status.get()
    bench.reporter.unavailable("the folder is gone", 2.0, watching="interval", checked=True)
    after = bench.status.get()
    changed = {key for key in after if after[key] != before[key]}
    assert changed <= {"last_check_time", "next_check_time", "seconds_until_next_check", "seq", "last_activity"}
