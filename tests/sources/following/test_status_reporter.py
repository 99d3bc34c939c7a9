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
        return tuple(state.get(field) for field in fields)  # own fields that are None are left out


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_scans_are_shown_with_their_times(bench: Bench) -> None:
    bench.reporter.starting({"folder": "/docs"}, stored=3)
    assert bench.get("status", "folder", "check_interval", "files_stored") == ("initializing", "/docs", 10.0, 3)
    bench.reporter.scan_started()
    assert bench.get("status", "is_checking") == ("scanning", True)  # the first scan
    bench.reporter.scan_ended({}, 4.0, watching="events")
    assert bench.get("is_checking", "watching", "message") == (False, "events", None)
    assert 3 < bench.get("seconds_until_next_check")[0] <= 4


def test_a_single_pass_shows_no_next_scan() -> None:
    bench = Bench(RunMode.SINGLE)
    bench.reporter.starting({}, stored=0)
    bench.reporter.scan_ended({}, 4.0, watching=None)
    assert bench.get("check_interval", "next_check_time") == (None, None)


def test_the_status_stays_processing_during_a_scan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", 0.0)
    bench.reporter.progress(idle=False, queued=2, stored=0)
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking", "files_queued") == ("processing", True, 2)


def test_the_queue_is_shown_at_intervals_and_its_end_at_once(bench: Bench) -> None:
    for left in range(1000, 0, -1):
        bench.reporter.progress(idle=False, queued=left, stored=0)
    assert len(bench.seen.events) < 500
    bench.reporter.progress(idle=True, queued=0, stored=1000)
    assert bench.get("status", "files_queued", "files_stored") == ("idle", 0, 1000)
    emitted = len(bench.seen.events)
    bench.reporter.progress(idle=True, queued=0, stored=1000)
    assert len(bench.seen.events) == emitted


def test_an_unavailable_folder_is_an_error_with_a_message(bench: Bench) -> None:
    bench.reporter.unavailable("the folder can't be read", 1.0, watching="interval", checked=True)
    assert bench.get("status", "message", "files_queued") == ("error", "the folder can't be read", 0)
    bench.reporter.scan_started()
    assert bench.get("status") == ("error",)
    bench.reporter.scan_ended({}, 1.0, watching="interval")
    assert bench.get("status", "message") == ("scanning", None)
    bench.reporter.progress(idle=True, queued=0, stored=0)
    assert bench.get("status", "message") == ("idle", None)


def test_the_last_status_is_stopped_or_error(bench: Bench) -> None:
    bench.reporter.stopped()
    assert bench.get("status", "next_check_time") == ("stopped", None)
    bench.reporter.error("the disk is full")
    assert bench.get("status", "message") == ("error", "the disk is full")


def test_an_error_found_by_a_download_keeps_the_time_of_the_last_scan(bench: Bench) -> None:
    bench.reporter.scan_ended({}, 1.0, watching="interval")
    checked = bench.get("last_check_time")
    bench.reporter.unavailable("no network", 60.0, watching="interval", checked=False)
    assert bench.get("status", "message", "last_check_time") == ("error", "no network", *checked)
    assert 59 < bench.get("seconds_until_next_check")[0] <= 60


def test_a_pause_is_shown_with_its_start_until_it_ends(bench: Bench) -> None:
    bench.reporter.progress(idle=False, queued=2, stored=0)
    bench.reporter.paused(1.5)
    assert bench.get("status", "paused_since", "next_check_time") == ("paused", "1970-01-01T00:00:01.500+00:00", None)
    bench.reporter.progress(idle=True, queued=2, stored=1)
    assert bench.get("status", "files_queued") == ("paused", 2)
    bench.reporter.resumed()
    assert bench.get("status", "paused_since") == ("scanning", None)
    bench.reporter.progress(idle=False, queued=2, stored=1)
    assert bench.get("status") == ("processing",)


def test_a_pause_ends_with_the_process(bench: Bench) -> None:
    bench.reporter.paused(1.5)
    bench.reporter.stopped()
    assert bench.get("status", "paused_since") == ("stopped", None)
    bench.reporter.paused(1.5)
    bench.reporter.starting({}, stored=0)
    assert bench.get("status", "paused_since") == ("initializing", None)


def test_the_fields_of_the_source_are_kept_up_to_date(bench: Bench) -> None:
    bench.reporter.starting({"folder": "1AbC"}, stored=0)
    bench.reporter.scan_ended({"folder": "Papers"}, 1.0, watching="interval")
    assert bench.get("folder") == ("Papers",)


def test_while_the_source_is_unavailable_only_the_number_of_stored_files_changes(bench: Bench) -> None:
    bench.reporter.starting({}, stored=3)
    bench.reporter.unavailable("away", 4.0, watching=None, checked=True)
    emitted = len(bench.seen.events)
    bench.reporter.stored(3)
    assert len(bench.seen.events) == emitted
    bench.reporter.stored(4)
    assert bench.get("status", "files_queued", "files_stored") == ("error", 0, 4)


def test_held_deletions_show_an_error_until_they_are_released(bench: Bench) -> None:
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


def test_held_deletions_of_the_last_process_are_cleared(bench: Bench) -> None:
    bench.status.update(own={"deletions_held": 30})
    bench.reporter.starting({}, stored=40)
    assert bench.get("deletions_held") == (None,)
    bench.reporter.deletions_held(30, "30 of 40 files are gone")
    bench.reporter.scan_ended({}, 1.0, watching="events")
    bench.reporter.stopped()
    assert bench.get("status", "message", "deletions_held") == ("stopped", None, None)


def check_fields(bench: Bench) -> set[str]:
    """Return the fields of the state that a scan has changed."""
    before = bench.status.get()
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    bench.reporter.scan_ended({"folder": "/docs"}, 4.0, watching="events")
    bench.reporter.progress(idle=True, queued=0, stored=3)
    derived = {"seq", "last_activity", "seconds_until_next_check"}
    after = bench.status.get()
    return {key for key in after if key not in before or after[key] != before[key]} - derived


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_scan_that_finds_nothing_new_changes_only_the_times(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", seconds)
    bench.reporter.starting({"folder": "/docs"}, stored=3)
    check_fields(bench)
    for _ in range(3):
        assert check_fields(bench) <= {"last_check_time", "next_check_time"}


def test_only_a_long_scan_is_shown_while_it_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.reporter.progress(idle=True, queued=0, stored=3)
    bench.reporter.scan_started()
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking") == ("idle", False)
    monkeypatch.setattr(status_reporter, "LONG_SCAN_SECONDS", 0.0)
    bench.reporter.scan_continues()
    assert bench.get("status", "is_checking") == ("idle", True)
    bench.reporter.scan_ended({}, 4.0, watching="events")
    assert bench.get("status", "is_checking") == ("idle", False)


def test_a_lasting_error_is_shown_once(bench: Bench) -> None:
    for _ in range(2):
        bench.reporter.scan_started()
        bench.reporter.unavailable("the folder is gone", 1.0, watching="interval", checked=True)
    before = bench.status.get()
    bench.reporter.unavailable("the folder is gone", 2.0, watching="interval", checked=True)
    after = bench.status.get()
    changed = {key for key in after if after[key] != before[key]}
    assert changed <= {"last_check_time", "next_check_time", "seconds_until_next_check", "seq", "last_activity"}
