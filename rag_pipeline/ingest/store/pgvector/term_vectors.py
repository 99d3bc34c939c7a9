"""Converts terms for PostgreSQL: they become lexemes as they are, without the server's own parser and dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_MOST_REPETITIONS = 200  # a lexeme keeps up to 256 positions

_MOST_TOLD_APART = 30
# What ts_rank returns for a word that is in the vector n times, from n = 1, by its documented sum over 1 / n².
_RANKS = [0.1 * sum(1 / i**2 for i in range(1, n + 1)) / 1.64493406685 for n in range(1, _MOST_TOLD_APART + 1)]
RANK_THRESHOLDS = [rank - 1e-5 for rank in _RANKS]
"""The argument of width_bucket that turns such a rank into the number of repetitions, up to 30."""


def as_tsvector(terms: Iterable[str]) -> str:
    """Return the text of a tsvector; a term has one position for each time it is repeated."""
    counts = Counter(terms)
    return " ".join(
        f"{as_lexeme(term)}:{','.join(map(str, range(1, min(count, _MOST_REPETITIONS) + 1)))}"
        for term, count in sorted(counts.items())
    )


def as_lexeme(term: str) -> str:
    """Return the term quoted for the text of a tsvector or tsquery."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
