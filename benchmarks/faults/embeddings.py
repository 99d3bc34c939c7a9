"""Counts the embeddings that were made against the least possible; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from benchmarks.faults.texts import normal


class Embeddings:
    """Each chunk's text has to be embedded once, and once more where that was lost for a reason that is allowed.

    There are two: the process died, or was stopped, before the vectors were stored; and the text had to leave the store
    and came back. :meth:`died` and :meth:`returned` tell of them, to the chunk.
    """

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()
        self._during: dict[str, list[str]] = {}
        self._this_life: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._returned: Counter[str] = Counter()

    def deliver(self, texts: Iterable[str], during: str = "") -> None:
        """Count texts whose vectors go out; ``during`` says what goes on."""
        texts = list(texts)
        self._made.update(texts)
        for text in texts:
            self._during.setdefault(text, []).append(during)
        self._this_life.update(texts)

    def retract(self, texts: Iterable[str]) -> None:
        """Take back a count: the vectors did not get through."""
        self._made.subtract(texts)

    def died(self, stored: Collection[str]) -> None:
        """Note the end of a process: what it got and did not store has to be made once more."""
        self._lost.update(text for text in self._this_life if self._made[text] and text not in stored)
        self._this_life.clear()

    def returned(self, words: str) -> None:
        """Note that a file's text, given as :func:`~benchmarks.faults.texts.normal` has it, came back."""
        self._returned.update(text for text, made in self._made.items() if made and normal(text) in words)

    @property
    def made(self) -> int:
        """All that were made."""
        return sum(self._made.values())

    @property
    def distinct(self) -> int:
        """The number of different texts that were embedded."""
        return sum(made > 0 for made in self._made.values())

    @property
    def least(self) -> int:
        """The lowest possible number: one for each text, and one more for each time it was lost or came back."""
        return sum(min(made, self._allowed(text)) for text, made in self._made.items())

    @property
    def after_deaths(self) -> int:
        """How many of the lowest number only repeat what a process had made and not stored when it ended."""
        return sum(min(max(0, made - 1), self._lost[text]) for text, made in self._made.items())

    def excess(self) -> dict[str, int]:
        """Return how often each text was embedded beyond the least."""
        over = {text: made - self._allowed(text) for text, made in self._made.items()}
        return {text: count for text, count in over.items() if count > 0}

    def during(self, text: str) -> list[str]:
        """Return what went on each time that a text was embedded."""
        return list(self._during.get(text, ()))

    def _allowed(self, text: str) -> int:
        return 1 + self._lost[text] + self._returned[text]
