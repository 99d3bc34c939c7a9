"""Keeps the last snapshot while the folder surely has not changed, so that a scan need not walk it again."""

from __future__ import annotations

import time

from rag_pipeline.sources.local_files.mount_table import MountTable
from rag_pipeline.sources.local_files.scan import FolderScan, identity_of
from rag_pipeline.sources.local_files.watcher import FolderWatcher
from rag_pipeline.sources.source import Snapshot

WALK_SECONDS = 60.0
"""Events can get lost, so the folder is walked at least this often."""
MARGIN_SECONDS = 2.0


class ScanCache:
    """Keeps the last snapshot while the kernel, which was watching since before that scan, reports no change.

    Used only for file systems whose every change passes this kernel, and for files without other names. Any thread may
    call :meth:`invalidate`; all else belongs to the run loop's thread.
    """

    def __init__(self, folder: str, settle_seconds: float) -> None:
        self.watcher: FolderWatcher | None = None
        self._folder = folder
        self._settle_seconds = settle_seconds
        self._is_invalid = False
        self._watch: int | None = None  # the number of the watch that ran during the last scan
        self._began = 0.0
        self._table = MountTable()
        self._snapshot: Snapshot | None = None

    def invalidate(self) -> None:
        """Make the next scan walk the folder."""
        self._is_invalid = True

    def get(self, table: MountTable) -> Snapshot | None:
        """Return the last snapshot, None if the folder may have changed."""
        snapshot = self._snapshot
        if snapshot is None or self._is_invalid or self._watch != self._current_watch() or table != self._table:
            return None
        if time.monotonic() - self._began >= WALK_SECONDS:
            return None
        try:
            return snapshot if identity_of(self._folder) == snapshot.identity else None
        except OSError:
            return None

    def begin(self, table: MountTable) -> None:
        """Start a scan: changes from here on are for the next one."""
        self._snapshot = None
        self._is_invalid = False
        self._watch = self._current_watch()
        self._began = time.monotonic()
        self._table = table

    def put(self, snapshot: Snapshot, scan: FolderScan) -> None:
        """Keep the snapshot of the scan if the kernel reports everything that can change it."""
        if self._watch is None or not (scan.is_plain and scan.devices <= self._table.local):
            return
        # A file that is still being written has to be seen by several scans.
        settled = time.time() - self._settle_seconds - MARGIN_SECONDS
        if all(file.modified_at < settled for file in snapshot.files.values()):
            self._snapshot = snapshot

    def _current_watch(self) -> int | None:
        return self.watcher.watches if self.watcher is not None and self.watcher.active else None
