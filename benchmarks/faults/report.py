"""The table of a run."""

from __future__ import annotations

from benchmarks.faults.run import Verdict


def as_table(verdict: Verdict) -> str:
    """Return the run's figures as Markdown, and what was wrong."""
    faults = ", ".join(f"{name} × {count}" for name, count in sorted(verdict.counts.items()))
    again, lost = verdict.least - verdict.distinct, verdict.after_deaths
    lines = [
        f"| {verdict.kind}, seed {verdict.seed} | |",
        "|---|---|",
        f"| faults injected | {faults} |",
        f"| seconds, processes | {verdict.seconds:.0f}, {verdict.starts} |",
        f"| troubles of a dependency, shown by the status | {verdict.outages}, {verdict.outages_shown} |",
        f"| searches for texts that were there | {verdict.asked:,} |",
        f"| missing | {len(verdict.misses)} |",
        f"| embeddings made | {verdict.made:,} |",
        f"| least possible | {verdict.least:,} |",
        f"| … texts, lost with a process, gone and back | {verdict.distinct:,}, {lost:,}, {again - lost:,} |",
        f"| files in the end | {verdict.files}, {verdict.asked_for} of them asked for by hand |",
        *(f"| **wrong** | {' '.join(fault.split())} |" for fault in verdict.faults),
    ]
    return "\n".join(lines) + "\n"
