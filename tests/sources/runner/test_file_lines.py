from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from rag_pipeline.sources.runner.file_lines import FileLine, SkipReasons, address_rows, file_line, summary
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder


@dataclass
class FakeService:
    """The addresses of a service."""

    host: str
    http_port: int
    socket_port: int


@pytest.fixture
def status() -> PipelineStatus:
    return PipelineStatus("local_files", "file-lines")


def play(status: PipelineStatus) -> None:
    status.add_processing_file("sub/a.txt", "a")
    status.file_progress("sub/a.txt", "embedding", 0.5, file_id="a")
    status.complete_file("sub/a.txt", file_id="a", result={"chunks": 1, "mime_type": "text/plain"})
    status.add_processing_file("b.txt", "b")
    status.file_progress("b.txt", "extracting", file_id="b")
    status.complete_file("b.txt", success=False, file_id="b", error=ValueError("b.txt is damaged\nbadly"))
    status.skip_file("c\x1b[2J.png", "c\x1b[2J.png is a picture", file_id="c")
    status.delete_file("d.txt", file_id="d")
    status.add_processing_file("e.txt", "e")
    status.complete_file("e.txt", file_id="e", result={"unchanged": True})
    status.add_processing_file("f.txt", "f")
    status.complete_file("f.txt", file_id="f", result={"renamed_from": "old\x1b.txt"})


def test_each_finished_file_gives_a_line_and_nothing_else_does(status: PipelineStatus) -> None:
    recorder = Recorder()
    core_of(status).attach(recorder)
    play(status)
    lines = [line for event in recorder.events if (line := file_line(event))]
    assert lines[0].details.startswith("1 chunk, 0.")
    assert lines[1:] == [
        FileLine("failed", "b.txt", "extracting: is damaged badly"),
        FileLine("skipped", "c\\x1b[2J.png", "skipped: is a picture", "is a picture"),
        FileLine("removed", "d.txt", "removed"),
        FileLine("unchanged", "e.txt", "unchanged"),
        FileLine("unchanged", "f.txt", "renamed, was old\\x1b.txt"),
    ]


def test_addresses_can_be_opened_whatever_the_servers_bind_to() -> None:
    assert dict(address_rows(FakeService("0.0.0.0", 8003, 8004)))["Status"] == "http://127.0.0.1:8003/status"
    rows = dict(address_rows(FakeService("::", 8003, 8004)))
    assert rows["Socket.IO"] == "http://[::1]:8004   namespaces /google_drive /local_files /pipeline"


def test_the_summary_counts_all_outcomes(status: PipelineStatus) -> None:
    play(status)
    line = summary(status, time.monotonic() - 3600, SkipReasons())
    assert line.startswith("3 stored, 1 failed, 1 skipped, 1 removed in 3600.")


def test_a_file_with_warnings_shows_their_number_and_the_first(status: PipelineStatus) -> None:
    recorder = Recorder()
    core_of(status).attach(recorder)
    status.add_processing_file("a.pdf")
    status.complete_file("a.pdf", result={"chunks": 2}, warnings=["9 of 10 pages have\x1b no text", "odd"])
    status.complete_file("b.pdf", warnings=["odd"])
    lines = [line for event in recorder.events if (line := file_line(event))]
    assert lines[0].kind == lines[1].kind == "warned"
    assert lines[0].details.endswith(" s; 2 warnings: 9 of 10 pages have\\x1b no text")
    assert lines[1].details == "unchanged; warning: odd"
    assert summary(status, time.monotonic(), SkipReasons()).startswith(
        "2 stored, 0 failed, 0 skipped, 0 removed, 2 with warnings in "
    )


def test_a_pass_that_skipped_everything_says_so_and_why(status: PipelineStatus) -> None:
    recorder, reasons = Recorder(), SkipReasons()
    core_of(status).attach(recorder)
    for number in range(12):
        reason = ("is empty", "is a picture", "is a video", "is a fifo")[(number > 3) + (number > 8) + (number > 10)]
        status.skip_file(f"{number}.png", f"{number}.png {reason}", file_id=str(number))
    for event in recorder.events:
        if line := file_line(event):
            reasons.note(line)
    assert summary(status, time.monotonic() - 60, reasons).startswith(
        "0 files stored: all 12 files were skipped (5: is a picture; 4: is empty; 2: is a video; 1: other reasons)"
        " in 60."
    )
    status.complete_file("a.txt")
    assert summary(status, time.monotonic(), reasons).startswith("1 stored, 0 failed, 12 skipped")


def test_the_only_file_can_be_skipped(status: PipelineStatus) -> None:
    reasons = SkipReasons()
    status.skip_file("a.png", "a.png is a picture")
    reasons.note(FileLine("skipped", "a.png", "", "is a picture"))
    line = summary(status, time.monotonic(), reasons)
    assert line.startswith("0 files stored: the only file was skipped (1: is a picture) in ")
