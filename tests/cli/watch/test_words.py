from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.watch import words
from tests.cli.watch.states import Made


@pytest.mark.parametrize(
    ("seconds", "said"),
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
def test_a_time_span_is_rounded_as_people_say_it(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@given(st.text())
def test_whatever_a_text_holds_it_is_one_bounded_printable_line(text: str) -> None:
    line = words.one_line(text)
    assert line.isprintable()
    assert len(line) <= words.SHOWN_CHARACTERS


def test_counts_and_pace_leave_out_what_is_nothing_or_not_known() -> None:
    made = Made()
    assert words.counts(made.state) == ["0 done", "0 failed", "0 skipped"]
    assert words.pace(made.state) == []
    made.work()
    assert words.counts(made.state) == ["1 done", "1 failed", "1 skipped", "2 in flight", "7 waiting"]
    state = {**made.state, "files_per_minute": 23.7, "eta_seconds": 130.0}
    assert words.pace(state) == ["24 files/min", "ETA 2 min 10 s"]


def test_why_a_file_failed_or_was_skipped_is_one_line() -> None:
    made = Made()
    made.work()
    [failed], [skipped], [completed] = (made.state[f"files_{end}"] for end in ("failed", "skipped", "completed"))
    assert words.failure(failed) == "extracting: ValueError: it is cut off badly"
    assert words.failure({**failed, "attempt": 3}).endswith("badly (attempt 3)")
    assert words.failure({**failed, "error": None}) == "None: None"
    assert words.reason(skipped) == "no reader for video/mp4"
    assert words.took(completed) == "0.0 s"
    assert words.took(skipped) == ""
