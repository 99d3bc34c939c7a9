"""Brake on mass deletion: decides which missing files may be deleted from the store; pure, no clock and no lock.

If a folder is unmounted, wrongly mounted, or emptied by mistake, thousands of files seem to be deleted. Two rules
protect the store:

- A file that a scan misses is deleted only if the next scan misses it too, or if the source is sure that it is gone.
- If a scan misses too many files at once, none is deleted until a person confirms it or files come back. While more
  than ``max_files`` of the held files are still missing, all stay held, whatever percentage they are by then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

RESCAN_SECONDS = 1.0
"""Time until the next scan if a scan missed files for the first time."""
NOTHING_HELD = "there is nothing to confirm"


class BrakeSettings(NamedTuple):
    """The brake holds deletions if more than ``max_files`` *and* more than ``max_percent`` of the known files are gone.

    confirm_first: the files that the first scan misses are confirmed already (``--confirm-deletions``).
    """

    max_files: int = 25
    max_percent: float = 20.0
    confirm_first: bool = False


DEFAULT_BRAKE = BrakeSettings()


class DeletionBrake:
    """Decides about the missing files of each scan. One thread decides and confirms; any thread may read ``held``.

    held: number of deletions that wait for a confirmation, out of ``known`` files at that scan.
    needs_rescan: whether a scan is due soon, because files were missed for the first time.
    """

    def __init__(self, settings: BrakeSettings = DEFAULT_BRAKE) -> None:
        self.held = 0
        self.known = 0
        self.needs_rescan = False
        self._settings = settings
        self._confirm_first = self._settings.confirm_first
        self._held: frozenset[str] = frozenset()
        self._missed: frozenset[str] = frozenset()
        self._confirmed: frozenset[str] = frozenset()

    def release(
        self, missing: Iterable[str], known: Collection[str], busy: Collection[str], is_definite: Callable[[str], bool]
    ) -> list[str]:
        """Return the files of ``missing`` that may be deleted now, in the same order.

        ``missing`` leaves out the ``busy`` files, which the scan did not judge. A file that is not ``known`` has no
        text to lose. ``is_definite`` returns True if the source is sure that a file is gone.
        """
        missing = list(missing)
        missed = frozenset(key for key in missing if key in known)
        confirmed = missed if self._confirm_first else self._confirmed & missed.union(busy)
        unconfirmed = missed - confirmed
        total = len(known) - sum(key in known for key in confirmed)
        # Not by percentage: files that come back one by one, or new ones, must not release thousands of others.
        stays = len(unconfirmed & self._held) > self._settings.max_files
        held = unconfirmed if stays or self._is_too_much(len(unconfirmed), total) else frozenset[str]()
        # Files come back one by one: the rest of a held set must be missed twice from here on.
        missed_before = self._missed - (self._held - held - confirmed)
        released = [
            key
            for key in missing
            if key not in missed or (key not in held and (key in missed_before or is_definite(key)))
        ]
        self.needs_rescan = len(released) + len(held) < len(missing)
        self._confirm_first = False
        self._confirmed = confirmed
        self._missed = missed | self._missed.intersection(busy)
        self._held, self.held, self.known = held, len(held), total
        return released

    def confirm(self, count: int | None = None) -> None:
        """Confirm the files that are held now; the next scan deletes those that it misses again.

        ``count`` is the number that the person has seen: if more are held by now, nothing is confirmed.
        """
        if count is None or self.held <= count:
            self._confirmed |= self._held

    def source_unavailable(self) -> None:
        """Record that a scan failed: two scans in a row must miss a file."""
        self._missed = frozenset()

    def message(self, confirm_with: str) -> str:
        """Return the message about the held deletions; ``confirm_with`` is the command that confirms them."""
        are, they_are = ("is", "it is") if self.held == 1 else ("are", "they are")
        return f"{self.held:,} of {self.known:,} files {are} gone; confirm with {confirm_with}, or {they_are} kept"

    def _is_too_much(self, count: int, known: int) -> bool:
        return count > self._settings.max_files and count * 100 > self._settings.max_percent * known
