from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.spinner import Spinner

from rag_pipeline.cli.watch.frame import FAILED_KEPT, Frame, draw
from rag_pipeline.cli.watch.view import Look
from rag_pipeline.client import ConnectionState, UnreachableError
from tests.cli.watch.states import Made, Output, look


def drawn(seen: Look, width: int = 80, height: int = 40) -> list[str]:
    out = Output()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    frame = Frame("http://127.0.0.1:8003  /pipeline", height, time.time(), Spinner("line"))
    console.print(draw(seen, frame))
    return [line.rstrip() for line in out.text.splitlines()]


def worked() -> Made:
    made = Made()
    made.work()
    return made


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_shows_all_that_there_is_to_know(width: int) -> None:
    made = worked()
    made.pipeline.update(is_checking=True, next_check_time=time.time() + 125, last_check_time=time.time() - 12)
    lines = drawn(look(made.state), width)
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
def test_how_the_connection_stands_is_always_in_the_first_line_in_words(connection: ConnectionState) -> None:
    error = UnreachableError("no connection: Connection\nrefused")
    first, second, *_ = drawn(look(worked().state, connection=connection, error=error), 60, 10)
    assert first.endswith(str(connection).replace("-", " "))
    assert second == "no connection: Connection refused"


def test_without_a_pipeline_it_says_that_there_is_none() -> None:
    assert "No pipeline has reported yet" in "\n".join(drawn(look()))
    assert "No pipeline" not in "\n".join(drawn(look(connection=ConnectionState.CONNECTING)))


@given(width=st.integers(20, 200), height=st.integers(1, 60), files=st.integers(0, 40), pipelines=st.integers(1, 5))
def test_at_any_size_every_line_fits(width: int, height: int, files: int, pipelines: int) -> None:
    made = worked()
    for number in range(files):
        made.pipeline.add_processing_file(f"file number {number}")
    state = made.state
    lines = drawn(look(*({**state, "pipeline_id": f"pipeline {number}"} for number in range(pipelines))), width, height)
    assert all(len(line) <= width for line in lines)
    made.pipeline.close()


def test_more_files_than_there_is_room_for_are_counted() -> None:
    made = worked()
    for number in range(120):
        made.pipeline.add_processing_file(f"file number {number}")
    lines = drawn(look(made.state), 80, 24)
    shown = [line for line in lines if "file number" in line]
    assert f"  and {122 - len(shown)} more in flight" in lines
    assert len(lines) <= 24
    assert "file number 119" in shown[-1]


def test_failures_stay_in_sight_whatever_has_ended_since() -> None:
    made = worked()
    for number in range(20):
        made.pipeline.complete_file(f"later {number}")
    text = "\n".join(drawn(look(made.state), 80, 16))
    assert "✗ bad" in text
    assert FAILED_KEPT > 1


def test_what_a_pipeline_says_of_itself_is_shown() -> None:
    made = Made()
    made.pipeline.update(status="error", own={"message": "the folder\ncan't be read"})
    assert "the folder can't be read" in drawn(look(made.state))
