"""From rows of figures to medians, ratios, a table in the terminal, JSON and Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.lib.cases import Case
from benchmarks.lib.workload import Figures

COLUMNS = ("case", "server", "messages/CPU s", "× node", "p50 ms", "p99 ms", "delivered", "CPU s", "RSS MB", "more")


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one case on one server; ``figures`` is empty and ``error`` set when it failed."""

    case: str
    server: str
    repetition: int
    figures: Figures
    error: str | None = None


def values_of(rows: Iterable[Row], case: str, server: str, key: str) -> list[float]:
    """Return the figure of every repetition that has it."""
    found = (row.figures.get(key) for row in rows if row.case == case and row.server == server)
    return [value for value in found if value is not None]


def median_of(rows: Iterable[Row], case: str, server: str, key: str) -> float | None:
    """Return the median over the repetitions, None where there is no figure."""
    values = values_of(rows, case, server, key)
    return statistics.median(values) if values else None


def ratios_of(rows: Sequence[Row], case: str, server: str, baseline: str = "node") -> list[float]:
    """Return messages per CPU second against the baseline's, repetition by repetition: neighbours in time."""
    by_repetition = {
        row.repetition: row.figures["messages_per_cpu_second"]
        for row in rows
        if row.case == case and row.server == baseline and row.figures.get("messages_per_cpu_second")
    }
    return [
        value / base
        for row in rows
        if row.case == case
        and row.server == server
        and (value := row.figures.get("messages_per_cpu_second"))
        and (base := by_repetition.get(row.repetition))
    ]


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):{form}}–{max(values):{form}})"


def _ratio(rows: Sequence[Row], case: Case, server: str) -> str:
    """Return the ratio to the case's baseline, which is named where it is not the one in the column's title."""
    found = ratios_of(rows, case.name, server, case.baseline)
    return _spread(found, ".2f") + (f" × {case.baseline}" if found and case.baseline != "node" else "")


def _delivered(rows: Sequence[Row], case: str, server: str, prefix: str = "") -> str:
    expected = sum(values_of(rows, case, server, f"{prefix}expected"))
    delivered = sum(values_of(rows, case, server, f"{prefix}delivered"))
    wrong = sum(values_of(rows, case, server, f"{prefix}out_of_order"))
    if not expected:
        return "–"
    share = "all" if delivered == expected else f"{100 * delivered / expected:.2f} %"
    return share + (f", {wrong:,.0f} out of order" if wrong else "")


_EXTRAS = (
    ("busy_kept", "busy thread keeps {:.1%}"),
    ("mutation_median_us", "mutation median {:.1f} µs"),
    ("mutation_p99_us", "p99 {:.1f} µs"),
    ("idle_kb_each", "{:.1f} KB for each client"),
    ("join_seconds", "joined in {:.1f} s"),
    ("rss_growth_mb", "RSS grew {:.1f} MB"),
    ("stalled_disconnected", "stalled client disconnected: {:.0f}"),
    ("polling_p50_ms", "polling p50 {:.1f} ms"),
    ("polling_p99_ms", "p99 {:.1f} ms"),
    ("redis_cpu_seconds", "Redis itself {:.3f} CPU s"),
    ("replay_seconds", "all replayed in {:.2f} s"),
    ("live_p99_ms", "who was there: p99 {:.1f} ms"),
    ("alone_p99_ms", "without the replay {:.1f} ms"),
    ("live_lost", "who was there lacks {:.0f} events"),
    ("not_recovered", "{:.0f} not told that they recovered"),
    ("recovered_early", "{:.0f} told so too early"),
    ("disconnected", "{:.1f} clients lost"),
)


_SHOWN_IF_ANY = ("disconnected", "stalled_disconnected", "live_lost", "not_recovered", "recovered_early")


def _extras(rows: Sequence[Row], case: str, server: str) -> str:
    parts = [
        text.format(middle)
        for key, text in _EXTRAS
        if (middle := median_of(rows, case, server, key)) is not None and (middle or key not in _SHOWN_IF_ANY)
    ]
    if (polled := _delivered(rows, case, server, "polling_")) != "–":
        parts.append(f"polling delivered {polled}")
    parts += [f"failed: {row.error}" for row in rows if row.case == case and row.server == server and row.error]
    return "; ".join(parts)


def table(rows: Sequence[Row], cases: Iterable[Case]) -> list[tuple[str, ...]]:
    """Return the table's lines, as text, in the order of the cases and their servers."""
    lines: list[tuple[str, ...]] = []
    for case in cases:
        for server in case.servers:
            if not any(row.case == case.name and row.server == server for row in rows):
                continue
            found = {key: values_of(rows, case.name, server, key) for key in ("p50_ms", "p99_ms", "cpu_seconds")}
            lines.append(
                (
                    case.name,
                    server,
                    _spread(values_of(rows, case.name, server, "messages_per_cpu_second"), ",.0f"),
                    _ratio(rows, case, server),
                    _spread(found["p50_ms"], ".2f"),
                    _spread(found["p99_ms"], ".2f"),
                    _delivered(rows, case.name, server),
                    _spread(found["cpu_seconds"], ".3f"),
                    _spread(values_of(rows, case.name, server, "rss_peak_mb"), ".0f"),
                    _extras(rows, case.name, server),
                )
            )
    return lines


def as_text(lines: Sequence[tuple[str, ...]]) -> str:
    """Return the table with columns lined up, for the terminal."""
    every = [COLUMNS, *lines]
    widths = [max(len(line[index]) for line in every) for index in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in every
    )


def as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """Return the table in Markdown."""
    every = [COLUMNS, tuple("---" for _ in COLUMNS), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in every)
