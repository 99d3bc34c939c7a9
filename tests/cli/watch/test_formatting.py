from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.watch import formatting
from tests.cli.watch.states import Made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (12.4, "12 s"),
        (59.7, "1 min 0 s"),
        (95, "1 min 35 s"),
        (700, "11 min"),
        (7260, "2 h 1 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_a_time_span_is_rounded(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@given(st.text())
def test_any_text_becomes_one_bounded_printable_line(text: str) -> None:
    line = formatting.one_line(text)
    assert line.isprintable()
    assert len(line) <= formatting.MAX_CHARACTERS


def test_counts_and_rate_leave_out_zero_and_unknown_values() -> None:
    made = Made()
    assert formatting.counts(made.state) == ["0 done", "0 failed", "0 skipped"]
    assert formatting.rate(made.state) == []
    made.work()
    assert formatting.counts(made.state) == ["1 done", "1 failed", "1 skipped", "2 in flight", "7 waiting"]
    state = {**made.state, "files_per_minute": 23.7, "eta_seconds": 130.0}
    assert formatting.rate(state) == ["24 files/min", "ETA 2 min 10 s"]


def test_the_reason_of_a_failed_or_skipped_file_is_one_line() -> None:
    made = Made()
    made.work()
    [failed], [skipped], [completed] = (made.state[f"files_{end}"] for end in ("failed", "skipped", "completed"))
    assert formatting.failure(failed) == "extracting: ValueError: it is cut off badly"
    assert formatting.failure({**failed, "attempt": 3}).endswith("badly (attempt 3)")
    assert formatting.failure({**failed, "error": None}) == "None: None"
    assert formatting.reason(skipped) == "no reader for video/mp4"
    assert formatting.completed(completed) == "0.0 s"
    assert formatting.completed(skipped) == ""


def test_warnings_are_counted_and_the_first_is_shown() -> None:
    made = Made()
    made.pipeline.complete_file("a.pdf", warnings=["9 of 10 pages\nhave no text", "odd"])
    made.pipeline.complete_file("b.pdf")
    assert formatting.counts(made.state) == ["2 done", "0 failed", "0 skipped", "1 with warnings"]
    warned, plain = made.state["files_completed"]
    assert formatting.completed(warned) == "2 warnings: 9 of 10 pages have no text"
    assert formatting.completed(plain) == ""


def test_the_state_of_an_older_service_has_no_warnings() -> None:
    made = Made()
    made.pipeline.complete_file("a.pdf")
    state = {key: value for key, value in made.state.items() if key != "total_with_warnings"}
    file = {key: value for key, value in state["files_completed"][0].items() if key not in ("warnings", "quality")}
    assert formatting.counts(state) == ["1 done", "0 failed", "0 skipped"]
    assert formatting.completed(file) == ""
