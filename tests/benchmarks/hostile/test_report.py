"""What counts as wrong, and what the table shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.hostile.measure import Figures, Span, span_of
from benchmarks.hostile.report import as_table, wrong
from benchmarks.hostile.rows import ROWS

QUICK = Span(100, 0.001, 0.002, 0.003)
NONE = Span(0, None, None, None)
GOOD = Figures(
    health=QUICK, answers={200: 100}, mutation=QUICK, live=QUICK, joins=QUICK, resumes=QUICK, files_per_second=200.0,
    unopened=0, missed=0, cut=0, lost=0, refused=7, left_out=0, slowest_text_seconds=0.0, stop_seconds=0.1,
    rss_before=80 << 20, rss_peak=900 << 20, rss_after=90 << 20, load=1.0, attackers=[],
)  # fmt: skip


def test_a_good_row_has_nothing_wrong() -> None:
    assert list(wrong(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answers": {0: 1, 200: 90, 503: 2}}, "/health answered 0 1 times, 503 2 times"),
        ({"answers": {}}, "/health answered nothing"),
        ({"health": Span(9, 0.1, 0.1, 2.5)}, "the slowest /health took 2.50 s"),
        ({"live": Span(9, 0.1, 1.5, 2.5)}, "p99 of live events is 1.50 s"),
        ({"live": NONE}, "p99 of live events is nobody knows how long: there was none"),
        ({"mutation": Span(9, 0.1, 0.05, 2.5)}, "p99 of a mutation is 0.05 s"),
        ({"joins": Span(9, 0.1, 1.5, 2.5)}, "the slowest newcomer took 2.50 s"),
        ({"resumes": Span(9, 0.1, 1.5, 2.5)}, "the slowest resumption took 2.50 s"),
        ({"stop_seconds": 9.0}, "the stop took 9.00 s"),
        ({"slowest_text_seconds": 0.6}, "the slowest text took 0.60 s"),
        ({"unopened": 3}, "3 files could not be opened"),
        ({"missed": 4}, "4 events were missed by the follower"),
        ({"cut": 1}, "1 times the follower was cut off"),
        ({"lost": 2}, "2 clients that came back had lost events"),
        ({"left_out": 5}, "5 newcomers did not get in"),
        ({"files_per_second": 117.0}, "the pipeline reported 117 files a second instead of 200"),
        ({"rss_after": 180 << 20}, "100 MB were not given back"),
    ],
)
def test_what_somebody_noticed_is_said(change: dict[str, Any], said: str) -> None:
    assert list(wrong(replace(GOOD, **change))) == [said]


def test_memory_is_not_judged_where_nobody_looked() -> None:
    assert list(wrong(replace(GOOD, rss_after=None))) == []


def test_the_table_has_a_line_for_each_row_and_then_what_is_wrong() -> None:
    text = as_table([(ROWS[0], GOOD), (ROWS[1], replace(GOOD, joins=NONE, answers={200: 9, 503: 2, 0: 1}))])
    head, rule, first, second, *rest = text.splitlines()
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert first.startswith("| 0 | no attack | 100, 0 | 1.0, 3.0 ms |")
    assert "| 9, 2 × 503 1 × none |" in second
    assert "| –, – ms |" in second
    assert "| 84, 944, 94 |" in first
    assert "- idle: /health answered" in "\n".join(rest)


def test_times_are_summed_up() -> None:
    assert span_of([]) == NONE
    assert span_of([0.5]) == Span(1, 0.5, 0.5, 0.5)
    span = span_of([number / 100 for number in range(101)])
    assert (span.count, span.largest) == (101, 1.0)
    assert span.p50 == pytest.approx(0.5, abs=0.01)
    assert span.p99 == pytest.approx(0.99, abs=0.01)
