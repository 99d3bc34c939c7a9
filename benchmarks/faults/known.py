"""What the source holds now, and which texts a search has to find; safe under threads."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.faults.texts import Text

LONG = 2000
"""Characters over which a text has more than a few chunks."""


@dataclass
class File:
    """A file: ``texts`` and ``names`` are those that a search may show, the newest last.

    good: it is there, and its newest text has to be stored in the end.
    seen: a search has found it since it came; from then on each has to.
    era: counts its comings and goings; ``change`` its changes.
    """

    key: str
    names: list[str]
    texts: list[Text]
    good: bool = True
    seen: bool = False
    era: int = 0
    change: int = 0


class Asked(NamedTuple):
    """A file as it was when a search for it began."""

    key: str
    question: str
    is_long: bool
    seen: bool
    era: int
    change: int


class Shown(NamedTuple):
    """What a search shows: a file's name, and a piece of its text with one space between words."""

    name: str
    piece: str


class Known:
    """The files by key. Whoever changes the source says so here: before it, except for what comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, File] = {}
        self._next = 0

    def come(self, name: str, text: Text) -> str:
        """Note a new file; return its key."""
        with self._lock:
            self._next += 1
            key = f"file {self._next}"
            self._files[key] = File(key, [name], [text])
            return key

    def come_back(self, key: str, text: Text | None = None, name: str | None = None) -> Text:
        """Note that a file is there again, with the text it had unless another is given; return that."""
        with self._lock:
            file = self._files[key]
            file.texts = [text or file.texts[-1]]
            file.names = [name or file.names[-1]]
            file.good, file.seen, file.era = True, False, file.era + 1
            return file.texts[-1]

    def go(self, keys: Collection[str]) -> None:
        """Note that files go, or turn into something that is no text: a search need not find them any more."""
        with self._lock:
            for key in keys:
                file = self._files[key]
                file.good, file.era = False, file.era + 1

    def write(self, key: str, text: Text) -> None:
        """Note that a file gets another text."""
        with self._lock:
            file = self._files[key]
            file.texts.append(text)
            file.change += 1

    def keep(self, key: str) -> None:
        """Note that the newest text of a file can't be had: the one before stays for good."""
        with self._lock:
            file = self._files[key]
            file.texts.pop()
            file.change += 1

    def rename(self, key: str, name: str) -> None:
        """Note that a file gets another name."""
        with self._lock:
            file = self._files[key]
            file.names.append(name)
            file.change += 1

    def name(self, key: str) -> str:
        """Return the newest name."""
        return self._files[key].names[-1]

    def text(self, key: str) -> Text:
        """Return the newest text."""
        return self._files[key].texts[-1]

    def is_seen(self, key: str) -> bool:
        """Return whether the file is there, and a search has found it since it came."""
        with self._lock:
            file = self._files[key]
            return file.good and file.seen

    def is_settled(self, key: str) -> bool:
        """Return whether a search has found the file as it is now, and every copy of it.

        Only then can a pipeline tell a move from a deletion, or a copy from a new text, whatever happens next.
        """
        with self._lock:
            file = self._files[key]
            return self._is_settled(file) and all(
                other.seen for other in self._files.values() if other.good and other.texts[-1] == file.texts[-1]
            )

    @staticmethod
    def _is_settled(file: File) -> bool:
        return file.good and file.seen and len(file.texts) == len(file.names) == 1

    def good(self) -> list[str]:
        """Return the keys of the files that are there, in the order they came."""
        with self._lock:
            return [key for key, file in self._files.items() if file.good]

    def expected(self) -> dict[str, str]:
        """Return what the store should hold in the end: texts by name, with one space between words."""
        with self._lock:
            return {file.names[-1]: file.texts[-1].words for file in self._files.values() if file.good}

    def ask(self, key: str) -> Asked | None:
        """Return what to search for to find a file; None if it need not be found."""
        with self._lock:
            file = self._files[key]
            question = " ".join(dict.fromkeys(text.mark for text in file.texts))
            is_long = any(len(text.body) > LONG for text in file.texts)
            return Asked(key, question, is_long, file.seen, file.era, file.change) if file.good else None

    def judge(self, asked: Asked, shown: Collection[Shown]) -> bool:
        """Return whether a search that began as ``asked`` was right; what it shows is remembered.

        A file that was found once since it came has to be found: with its old or new text, under its old or new name.
        """
        with self._lock:
            file = self._files[asked.key]
            if file.era != asked.era:
                return True  # it went meanwhile
            words = [text.words for text in file.texts]
            fits = [one for one in shown if one.name in file.names and any(one.piece in text for text in words)]
            if not fits:
                return not asked.seen
            file.seen = True
            newest = Shown(file.names[-1], words[-1])
            # The marks of two versions may be the same, and then an old piece is also one of the new text.
            is_new = any(one.name == newest.name and one.piece in newest.piece for one in fits)
            is_only = not any(one.piece in text for one in fits for text in words[:-1])
            if file.change == asked.change and is_new and is_only:
                del file.names[:-1], file.texts[:-1]
            return True
