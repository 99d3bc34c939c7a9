from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.config import RunMode
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.pipelines.local_files.show import Shown
from rag_pipeline.status import PipelineStatus
from tests.watching import Recorder


class Bench:
    def __init__(self, mode: RunMode = RunMode.CONTINUOUS) -> None:
        self.status = PipelineStatus("local_files", f"show-{id(self)}")
        self.shown = Shown(self.status, LocalFilesSettings("/docs", Path("/state"), mode))
        self.seen = Recorder()
        self.status.attach(self.seen)

    def get(self, *fields: str) -> tuple[Any, ...]:
        state = self.status.get()
        return tuple(state[field] for field in fields)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_checks_are_shown_with_their_times(bench: Bench) -> None:
    bench.shown.starting(stored=3)
    assert bench.get("status", "folder", "check_interval", "files_stored") == ("initializing", "/docs", 10.0, 3)
    bench.shown.scanning()
    assert bench.get("status", "is_checking") == ("scanning", True)
    bench.shown.scanned(4.0, watching="events", error=None)
    assert bench.get("is_checking", "watching", "message") == (False, "events", None)
    assert 3 < bench.get("seconds_until_next_check")[0] <= 4


def test_a_single_pass_announces_no_other_check() -> None:
    bench = Bench(RunMode.SINGLE)
    bench.shown.starting(stored=0)
    bench.shown.scanned(4.0, watching=None, error=None)
    assert bench.get("check_interval", "next_check_time") == (None, None)


def test_the_word_stays_processing_while_a_scan_goes_on_beside_the_work(bench: Bench) -> None:
    bench.shown.progress(idle=False, queued=2, stored=0)
    bench.shown.scanning()
    assert bench.get("status", "is_checking", "files_queued") == ("processing", True, 2)


def test_the_queue_is_shown_now_and_then_and_its_end_at_once(bench: Bench) -> None:
    for left in range(1000, 0, -1):
        bench.shown.progress(idle=False, queued=left, stored=0)
    assert len(bench.seen.events) < 500
    bench.shown.progress(idle=True, queued=0, stored=1000)
    assert bench.get("status", "files_queued", "files_stored") == ("idle", 0, 1000)
    emitted = len(bench.seen.events)
    bench.shown.progress(idle=True, queued=0, stored=1000)
    assert len(bench.seen.events) == emitted


def test_trouble_with_the_folder_is_an_error_with_a_message_until_it_is_over(bench: Bench) -> None:
    bench.shown.scanned(1.0, watching="interval", error="the folder can't be read")
    assert bench.get("status", "message", "files_queued") == ("error", "the folder can't be read", 0)
    bench.shown.scanning()
    assert bench.get("status", "is_checking") == ("error", True)
    bench.shown.scanned(1.0, watching="interval", error=None)
    assert bench.get("status", "message") == ("scanning", None)
    bench.shown.progress(idle=True, queued=0, stored=0)
    assert bench.get("status", "message") == ("idle", None)


def test_the_end_is_stopped_or_error(bench: Bench) -> None:
    bench.shown.stopped()
    assert bench.get("status", "next_check_time") == ("stopped", None)
    bench.shown.error("the disk is full")
    assert bench.get("status", "message") == ("error", "the disk is full")
