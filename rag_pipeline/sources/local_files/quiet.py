"""Whether a folder is surely as the last scan found it, so that a look need not walk it again."""

from __future__ import annotations

import time

from rag_pipeline.sources.following.source import Found
from rag_pipeline.sources.local_files.mount_table import MountTable
from rag_pipeline.sources.local_files.scan import Scan, identity_of
from rag_pipeline.sources.local_files.watch import Watcher

WALK_SECONDS = 60.0
"""Events can get lost: this often the folder is walked in any case."""
MARGIN_SECONDS = 2.0


class Quiet:
    """Keeps what the last scan found while the kernel, which was watching since before it began, tells of no change.

    Only file systems whose every change passes this kernel count, and files without other names. ``disturb`` may be
    called by any thread; all else belongs to the run loop's.
    """

    def __init__(self, folder: str, settle_seconds: float) -> None:
        self.watcher: Watcher | None = None
        self._folder = folder
        self._settle_seconds = settle_seconds
        self._disturbed = False
        self._watch: int | None = None  # the number of the watch that the last scan was made under
        self._began = 0.0
        self._table = MountTable()
        self._found: Found | None = None

    def disturb(self) -> None:
        """Have the next look walk the folder."""
        self._disturbed = True

    def unchanged(self, table: MountTable) -> Found | None:
        """Return what was found, None if it may be otherwise now."""
        found = self._found
        if found is None or self._disturbed or self._watch != self._watch_now() or table != self._table:
            return None
        if time.monotonic() - self._began >= WALK_SECONDS:
            return None
        try:
            return found if identity_of(self._folder) == found.identity else None
        except OSError:
            return None

    def begin(self, table: MountTable) -> None:
        """A scan begins: what changes from here on is for the next one."""
        self._found = None
        self._disturbed = False
        self._watch = self._watch_now()
        self._began = time.monotonic()
        self._table = table

    def end(self, found: Found, scan: Scan) -> None:
        """A scan has ended: keep what it found if the kernel tells of all that can change it."""
        if self._watch is None or not (scan.is_plain and scan.devices <= self._table.local):
            return
        # A file that is still being written is looked at again and again.
        settled = time.time() - self._settle_seconds - MARGIN_SECONDS
        if all(file.modified_at < settled for file in found.files.values()):
            self._found = found

    def _watch_now(self) -> int | None:
        return self.watcher.watches if self.watcher is not None and self.watcher.active else None
