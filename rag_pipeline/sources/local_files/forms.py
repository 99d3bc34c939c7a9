"""Unicode forms: a name written as NFC or as NFD is the same name for people, and other bytes for the file system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag_pipeline.common.normal_forms import nfc


def composed(text: str) -> str:
    """Return the text in NFC: texts that differ by form only have the same one."""
    return text if text.isascii() else nfc(text)


class IdForms:
    """Keeps the id of a file whose name changes by form only, as a share or a move from macOS may do it."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}

    def learn(self, ids: Iterable[str]) -> None:
        """Remember ids that are in use."""
        for key in ids:
            if not key.isascii():
                self._known.setdefault(composed(key), set()).add(key)

    def keep(self, ids: Iterable[str]) -> None:
        """Forget all ids but these."""
        self._known.clear()
        self.learn(ids)

    def assign(self, found: Iterable[str]) -> Mapping[str, str]:
        """Return the id to use for each id that was found under another form.

        A file found under an id in use keeps it. Any other takes an id in use that differs by form only, if no file
        that was found has it; so two files whose names differ by form only stay two.
        """
        groups: dict[str, list[str]] = {}
        for key in found:
            if not key.isascii():
                groups.setdefault(composed(key), []).append(key)
        changed: dict[str, str] = {}
        for form, keys in groups.items():
            known = self._known.get(form)
            if known is None or known.issuperset(keys):
                continue
            free = sorted(known.difference(keys), reverse=True)
            for key in sorted(keys):
                if key not in known and free:
                    changed[key] = free.pop()
        return changed
