"""Brake on mass deletion: decides which of the missing files may leave the store; pure, no clock and no lock.

An unmounted disk, a wrong mount or a slip of the hand looks like thousands of deleted files. So two rules hold:

- A file that a scan misses is deleted only if the next scan misses it too, or the source says that it is gone.
- If a scan misses too many files at once, none of them is deleted until a person confirms it or files come back. Of
  files that are held, more than ``max_files`` stay held, whatever percentage they are by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

SECOND_LOOK_SECONDS = 1.0
"""When to scan again for files that were missed for the first time."""
NOTHING_HELD = "there is nothing to confirm"


class BrakeSettings(NamedTuple):
    """When the brake holds: more than ``max_files`` files *and* more than ``max_percent`` of the known ones are gone.

    confirm_first: whether what the first scan misses is confirmed already, as by ``--confirm-deletions``.
    """

    max_files: int = 25
    max_percent: float = 20.0
    confirm_first: bool = False


USUAL_BRAKE = BrakeSettings()


class DeletionBrake:
    """Judges the missing files of each scan. One thread judges and confirms; any thread may read ``held``.

    held: how many deletions wait for a confirmation; ``known`` is how many files were known at that scan.
    looks_again: whether a scan is due soon, because files were missed for the first time.
    """

    def __init__(self, settings: BrakeSettings = USUAL_BRAKE) -> None:
        self.held = 0
        self.known = 0
        self.looks_again = False
        self._settings = settings
        self._confirm_first = self._settings.confirm_first
        self._held: frozenset[str] = frozenset()
        self._missed: frozenset[str] = frozenset()
        self._confirmed: frozenset[str] = frozenset()

    def judge(
        self, gone: Iterable[str], known: Collection[str], busy: Collection[str], is_definite: Callable[[str], bool]
    ) -> list[str]:
        """Return which of ``gone`` may be deleted now, in the same order.

        ``gone`` is what the scan has missed, without the ``busy`` files, which it did not judge. What is not ``known``
        has no text to lose. ``is_definite`` says of a file that the source is sure.
        """
        gone = list(gone)
        missed = frozenset(key for key in gone if key in known)
        confirmed = missed if self._confirm_first else self._confirmed & missed.union(busy)
        unconfirmed = missed - confirmed
        total = len(known) - sum(key in known for key in confirmed)
        # Not by percentage: files that come back one by one, or new ones, must not release thousands of others.
        stays = len(unconfirmed & self._held) > self._settings.max_files
        held = unconfirmed if stays or self._is_too_much(len(unconfirmed), total) else frozenset[str]()
        # Files come back one by one: what is left of a held set has to be missed twice from here on.
        missed_before = self._missed - (self._held - held - confirmed)
        may_go = [
            key for key in gone if key not in missed or (key not in held and (key in missed_before or is_definite(key)))
        ]
        self.looks_again = len(may_go) + len(held) < len(gone)
        self._confirm_first = False
        self._confirmed = confirmed
        self._missed = missed | self._missed.intersection(busy)
        self._held, self.held, self.known = held, len(held), total
        return may_go

    def confirm(self, count: int | None = None) -> None:
        """Let go exactly the files that are held now; the next scan deletes those of them that it misses again.

        If more than ``count`` are held, which is what the person has seen, none is let go.
        """
        if count is None or self.held <= count:
            self._confirmed |= self._held

    def away(self) -> None:
        """Note that the source could not be scanned: two scans in a row have to miss a file."""
        self._missed = frozenset()

    def message(self, confirm_with: str) -> str:
        """Return what to tell people about the held deletions; ``confirm_with`` is what they can do."""
        are, they_are = ("is", "it is") if self.held == 1 else ("are", "they are")
        return f"{self.held:,} of {self.known:,} files {are} gone; confirm with {confirm_with}, or {they_are} kept"

    def _is_too_much(self, count: int, known: int) -> bool:
        return count > self._settings.max_files and count * 100 > self._settings.max_percent * known
