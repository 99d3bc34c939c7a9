from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.spinner import Spinner

from rag_pipeline.cli.watch.drawing import MIN_FAILED, DrawContext, draw
from rag_pipeline.cli.watch.output import WatchFrame
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, frame


def drawn(watch_frame: WatchFrame, width: int = 80, height: int = 40) -> list[str]:
    out = Output()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    context = DrawContext("http://127.0.0.1:8003  /pipeline", height, time.time(), Spinner("line"))
    console.print(draw(watch_frame, context))
    return [line.rstrip() for line in out.text.splitlines()]


def worked() -> Made:
    made = Made()
    made.work()
    return made


@pytest.mark.parametrize("width", [60, 80, 200])
def test_connection_pipeline_counts_times_and_files_are_shown(width: int) -> None:
    made = worked()
    made.pipeline.update(is_checking=True, next_check_time=time.time() + 125, last_check_time=time.time() - 12)
    lines = drawn(frame(made.state), width)
    text = "\n".join(lines)
    assert lines[0].startswith("http://127.0.0.1:8003  /pipeline")
    assert lines[0].endswith("● live")
    assert lines[2].split() == ["papers", "local_files", "processing,", "checking"]
    for expected in ("1 done", "1 failed", "1 skipped", "2 in flight", "7 waiting"):
        assert expected in text
    assert "checked 12 s ago, next check in 2 min" in text
    for expected in ("long name", "embedding", "25%", "second.pdf", "✓ good.md", "✗ bad\\x1b", "– movie.mp4"):
        assert expected in text
    assert "extracting: ValueError: it" in text
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("connection", list(ConnectionState))
def test_the_connection_is_always_in_the_first_line(connection: ConnectionState) -> None:
    error = UnreachableError("no connection: Connection\nrefused")
    first, second, *_ = drawn(frame(worked().state, connection=connection, error=error), 60, 10)
    assert first.endswith(str(connection).replace("-", " "))
    assert second == "no connection: Connection refused"


def test_without_a_pipeline_a_hint_is_shown() -> None:
    assert "No pipeline has reported yet" in "\n".join(drawn(frame()))
    assert "No pipeline" not in "\n".join(drawn(frame(connection=ConnectionState.CONNECTING)))


@pytest.mark.slow
@given(width=st.integers(20, 200), height=st.integers(1, 60), files=st.integers(0, 40), pipelines=st.integers(1, 5))
def test_at_any_size_every_line_fits(width: int, height: int, files: int, pipelines: int) -> None:
    made = worked()
    for number in range(files):
        made.pipeline.add_processing_file(f"file number {number}")
    state = made.state
    lines = drawn(
        frame(*({**state, "pipeline_id": f"pipeline {number}"} for number in range(pipelines))), width, height
    )
    assert all(len(line) <= width for line in lines)
    made.pipeline.close()


def test_files_that_do_not_fit_are_counted() -> None:
    made = worked()
    for number in range(120):
        made.pipeline.add_processing_file(f"file number {number}")
    lines = drawn(frame(made.state), 80, 24)
    shown = [line for line in lines if "file number" in line]
    assert f"  and {122 - len(shown)} more in flight" in lines
    assert len(lines) <= 24
    assert "file number 119" in shown[-1]


def test_failures_stay_visible_after_later_files() -> None:
    made = worked()
    for number in range(20):
        made.pipeline.complete_file(f"later {number}")
    text = "\n".join(drawn(frame(made.state), 80, 16))
    assert "✗ bad" in text
    assert MIN_FAILED > 1


def test_the_message_of_a_pipeline_is_shown() -> None:
    made = Made()
    made.pipeline.update(status="error", own={"message": "the folder\ncan't be read"})
    assert "the folder can't be read" in drawn(frame(made.state))


def test_a_notice_takes_the_place_of_the_error() -> None:
    notice = "the service has no pipeline other: it has papers"
    lines = drawn(frame(notice=notice))
    assert lines[1] == notice
    assert "No pipeline has reported yet" not in "\n".join(lines)


def test_files_with_warnings_are_marked_and_counted() -> None:
    made = Made()
    made.pipeline.complete_file("scan.pdf", warnings=["9 of 10 pages have no text"])
    text = "\n".join(drawn(frame(made.state), 120))
    assert "1 done  0 failed  0 skipped  1 with warnings" in text
    assert "warning: 9 of 10 pages have no text" in text
