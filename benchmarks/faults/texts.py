"""Texts that can be told apart in a store: each has a word that is in no other."""

from __future__ import annotations

import random
from typing import NamedTuple

_LETTERS = "abcdefghij"
_FILLER = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heron", "iris", "jetty", "kelp", "larch")


class Text(NamedTuple):
    """A text; its ``mark`` is a word in each of its lines and in no other text."""

    mark: str
    body: str

    @property
    def words(self) -> str:
        """The text as :func:`normal` has it."""
        return normal(self.body)


def normal(text: str) -> str:
    """Return the text with one space between words: chunks and files differ in no more than that."""
    return " ".join(text.split())


class Texts:
    """Makes texts; the seed decides all of them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._count = 0

    def new(self, lines: int | None = None) -> Text:
        """Return a text that there was not before; a chunk takes some eight lines."""
        self._count += 1
        # No stemmer changes a word with these ends.
        mark = "q" + "".join(_LETTERS[int(digit)] for digit in str(self._count)) + "x"
        count = self._chance.randint(1, 6) if lines is None else lines
        return Text(mark, "".join(self._line(mark, number) for number in range(count)))

    def _line(self, mark: str, number: int) -> str:
        return f"{mark} {' '.join(self._chance.choices(_FILLER, k=6))} line{number}.\n"
