"""Keeps a file's id when its name changes between Unicode normal forms: same for people, other bytes on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag_pipeline.common.normal_forms import nfc


def normalize_id(text: str) -> str:
    """Return the text in NFC, which is the same for texts that differ by normal form only."""
    return text if text.isascii() else nfc(text)


class UnicodeIds:
    """Remembers the ids in use, for names that shares or moves from macOS write in another normal form."""

    def __init__(self) -> None:
        self._ids: dict[str, set[str]] = {}  # by their NFC

    def learn(self, ids: Iterable[str]) -> None:
        """Remember ids that are in use."""
        for key in ids:
            if not key.isascii():
                self._ids.setdefault(normalize_id(key), set()).add(key)

    def keep(self, ids: Iterable[str]) -> None:
        """Forget all ids but these."""
        self._ids.clear()
        self.learn(ids)

    def assign(self, found: Iterable[str]) -> Mapping[str, str]:
        """Return the id to use for each found id that was in use under another normal form.

        A file found under an id in use keeps it. Any other takes an id in use that differs by normal form only, if no
        found file has it. So two files whose names differ by normal form only stay two.
        """
        groups: dict[str, list[str]] = {}
        for key in found:
            if not key.isascii():
                groups.setdefault(normalize_id(key), []).append(key)
        changed: dict[str, str] = {}
        for normal, keys in groups.items():
            in_use = self._ids.get(normal)
            if in_use is None or in_use.issuperset(keys):
                continue
            free = sorted(in_use.difference(keys), reverse=True)
            for key in sorted(keys):
                if key not in in_use and free:
                    changed[key] = free.pop()
        return changed
