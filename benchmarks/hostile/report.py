"""The table of a run, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.hostile.measure import Figures, Span
from benchmarks.hostile.rows import ROWS, Row

SLOW_HEALTH_SECONDS = 2.0
SLOW_LIVE_SECONDS = 1.0
SLOW_MUTATION_SECONDS = 0.02
SLOW_JOIN_SECONDS = 2.0
SLOW_STOP_SECONDS = 5.0
SLOW_TEXT_SECONDS = 0.5
LEFT_BYTES = 64 << 20
"""Memory that may be more than before a flood once it is over; allocators keep some."""
LEAST_FILES_PER_SECOND = 190.0

_HEAD = (
    "| | attack | `/health` 200, other | p50, slowest | mutation p50, p99, max | live event p50, p99 "
    "| join p50, slowest | resume p50, slowest | files/s, not opened | MB before, most, after | stop |"
)


def wrong(figures: Figures) -> Iterator[str]:
    """Yield what nobody else may notice of an attack, and somebody did."""
    others = {status: count for status, count in figures.answers.items() if status != 200}
    if others or not figures.answers:
        yield f"/health answered {', '.join(f'{status} {n} times' for status, n in others.items()) or 'nothing'}"
    for what, span, seconds in (
        ("the slowest /health took", figures.health.largest, SLOW_HEALTH_SECONDS),
        ("p99 of live events is", figures.live.p99, SLOW_LIVE_SECONDS),
        ("p99 of a mutation is", figures.mutation.p99, SLOW_MUTATION_SECONDS),
        ("the slowest newcomer took", figures.joins.largest, SLOW_JOIN_SECONDS),
        ("the slowest resumption took", figures.resumes.largest, SLOW_JOIN_SECONDS),
        ("the stop took", figures.stop_seconds, SLOW_STOP_SECONDS),
        ("the slowest text took", figures.slowest_text_seconds, SLOW_TEXT_SECONDS),
    ):
        if span is None:
            yield f"{what} nobody knows how long: there was none"
        elif span > seconds:
            yield f"{what} {span:.2f} s"
    for what, count in (
        ("files could not be opened", figures.unopened),
        ("events were missed by the follower", figures.missed),
        ("times the follower was cut off", figures.cut),
        ("clients that came back had lost events", figures.lost),
        ("newcomers did not get in", figures.left_out),
    ):
        if count:
            yield f"{count} {what}"
    if figures.files_per_second < LEAST_FILES_PER_SECOND:
        yield f"the pipeline reported {figures.files_per_second:.0f} files a second instead of 200"
    if figures.rss_after is not None and figures.rss_after - figures.rss_before > LEFT_BYTES:
        yield f"{(figures.rss_after - figures.rss_before) >> 20} MB were not given back"


def as_table(rows: Sequence[tuple[Row, Figures]]) -> str:
    """Return the figures as Markdown, and below what is wrong."""
    lines = [_HEAD, "|---" * _HEAD.count(" | ") + "|---|", *(_line(row, figures) for row, figures in rows)]
    faults = [f"- {row.name}: {fault}" for row, figures in rows for fault in wrong(figures)]
    return "\n".join([*lines, *(["", "Wrong:", *faults] if faults else [])]) + "\n"


def _line(row: Row, figures: Figures) -> str:
    memory = [figures.rss_before, figures.rss_peak]
    if figures.rss_after is not None:
        memory.append(figures.rss_after)
    cells = (
        ROWS.index(row),
        row.title,
        f"{figures.answers.get(200, 0)}, {_others(figures.answers)}",
        _milliseconds(figures.health, "p50", "largest"),
        _milliseconds(figures.mutation, "p50", "p99", "largest"),
        _milliseconds(figures.live, "p50", "p99"),
        _milliseconds(figures.joins, "p50", "largest"),
        _milliseconds(figures.resumes, "p50", "largest"),
        f"{figures.files_per_second:.0f}, {figures.unopened}",
        ", ".join(f"{size / 1e6:.0f}" for size in memory),
        f"{figures.stop_seconds:.1f} s",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _others(answers: Mapping[int, int]) -> str:
    return " ".join(f"{count} × {status or 'none'}" for status, count in answers.items() if status != 200) or "0"


def _milliseconds(span: Span, *names: str) -> str:
    values = [getattr(span, name) for name in names]
    return ", ".join("–" if value is None else _short(value * 1000) for value in values) + " ms"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
