"""The source of a local_files pipeline: scans a folder and opens its files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rag_pipeline.common.config import RunMode
from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.mount_file import MountFile
from rag_pipeline.sources.local_files.mount_table import MountTable, read_mount_table
from rag_pipeline.sources.local_files.safe_open import open_file
from rag_pipeline.sources.local_files.scan import (
    FolderScan,
    FolderUnavailableError,
    current_version,
    is_same_content,
    scan_folder,
)
from rag_pipeline.sources.local_files.scan_cache import ScanCache
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.subfolders import UNMOUNTED, SubfolderCheck
from rag_pipeline.sources.local_files.unicode_ids import UnicodeIds, normalize_id
from rag_pipeline.sources.local_files.watcher import FolderWatcher
from rag_pipeline.sources.source import (
    Check,
    FoundFile,
    OpenFile,
    Snapshot,
    SourceUnavailableError,
    Unreadable,
    open_local,
)

PIPELINE_TYPE = "local_files"
SECOND_SCAN_SECONDS = 1.0
"""A single pass that finds suspect folders scans once more after this time, because no later scan follows."""


class LocalFilesSource:
    """The files below ``settings.folder``; the :class:`~rag_pipeline.sources.source.Source` of local_files.

    The state folder is left out if it is below the watched folder.
    """

    kind = PIPELINE_TYPE
    transfers = False

    def __init__(self, settings: LocalFilesSettings, pipeline_id: str | None = None) -> None:
        self.location = names.file_id(settings.folder)
        self.status_fields: Mapping[str, object] = {"folder": names.display_name(settings.folder)}
        self.settle_seconds = settings.settle_seconds
        self._folder = settings.folder
        self._exclude = str(settings.state_dir.resolve())
        self._follow_outside = settings.follow_outside_links
        self._single = settings.mode is RunMode.SINGLE
        self._pipeline_id = pipeline_id
        self._files: Mapping[str, FoundFile] = {}  # of the last scan
        self._unicode_ids = UnicodeIds()
        self._subfolders = SubfolderCheck()
        self._mount_file = MountFile(settings.state_dir, self.location, pipeline_id)
        self._cache = ScanCache(settings.folder, settings.settle_seconds)

    def learn(self, ids: Iterable[str]) -> None:
        """Set the ids of the files that are known at the start; called before the first scan."""
        ids = [*ids]
        self._unicode_ids.learn(ids)
        self._subfolders.learn(ids, self._mount_file.read())

    def scan(self, check: Check) -> Snapshot:
        """Walk the folder, or return the last snapshot if nothing can have changed."""
        table = read_mount_table()
        cached = self._cache.get(table)
        if cached is not None:
            return cached
        self._cache.begin(table)
        snapshot, scan, has_suspects = self._walk(check, table)
        if has_suspects and self._single:
            self._wait(check)
            snapshot, scan, has_suspects = self._walk(check, table)
        if not has_suspects:
            self._cache.put(snapshot, scan)
        return snapshot

    def recheck_root(self) -> None:
        """Make the next scan walk the folder, whatever the kernel has reported."""
        self._cache.invalidate()

    @contextmanager
    def fetch(self, file: FoundFile, on_progress: ProgressCallback, check: Check) -> Iterator[OpenFile]:  # noqa: ARG002
        """Open the file in place."""
        path = names.path_of(file.uri)
        if self._follow_outside:
            with open_local(path) as content:
                yield content
            return
        descriptor = open_file(self._folder, path, exclude=self._exclude)
        try:
            yield OpenFile(path, descriptor)
        finally:
            os.close(descriptor)

    def version_now(self, file: FoundFile) -> str:
        """Return the file's current version; raises OSError.

        A new mode, tag or hard link does not interrupt the work on the file: the next scan has its content hashed.
        """
        now = current_version(names.path_of(file.uri))
        return file.version if is_same_content(now, file.version) else now

    def watch(self, wake: Callable[[], None], stop: threading.Event) -> FolderWatcher:
        """Watch the folder by events of the kernel."""

        def on_change() -> None:
            self._cache.invalidate()
            wake()

        watcher = FolderWatcher(self._folder, self._exclude, on_change, stop, pipeline_id=self._pipeline_id)
        self._cache.watcher = watcher
        return watcher

    def _walk(self, check: Check, table: MountTable) -> tuple[Snapshot, FolderScan, bool]:
        """Return a snapshot, the scan it was made from, and whether there are suspect folders."""
        try:
            scan = scan_folder(
                self._folder,
                exclude=self._exclude,
                check=check,
                before=self._files,
                mount_points=table.points,
                kernel_devices=table.kernel,
                follow_outside=self._follow_outside,
            )
        except FolderUnavailableError as error:
            raise SourceUnavailableError(f"the folder can't be read: {error}") from None
        unlisted = frozenset(map(normalize_id, scan.unlisted))
        suspects = self._subfolders.check(scan.folders, scan.with_files, unlisted)
        self._mount_file.write(self._subfolders.mounts)
        files, unreadable = keep_ids(scan, self._unicode_ids)
        if suspects.folders or unlisted:
            self._unicode_ids.learn([*files, *unreadable])
        else:
            self._unicode_ids.keep([*files, *unreadable])
        for folder in suspects.unmounted:
            unreadable.setdefault(folder, Unreadable(folder, folder, UNMOUNTED, is_error=True))
        may_exist = self._may_exist(files, unlisted, suspects.folders)
        self._files = files
        return Snapshot(files, unreadable, may_exist, scan.identity), scan, bool(suspects.folders)

    def _may_exist(
        self, files: Mapping[str, FoundFile], unlisted: frozenset[str], suspects: frozenset[str]
    ) -> Callable[[str], bool]:
        if not suspects:
            return lambda key: is_below(key, unlisted)
        before = self._files
        new = {file.move_key for key, file in files.items() if key not in before}

        def has_moved(key: str) -> bool:
            file = before.get(key)
            return file is not None and file.move_key in new

        return lambda key: is_below(key, unlisted) or (is_below(key, suspects) and not has_moved(key))

    @staticmethod
    def _wait(check: Check) -> None:
        deadline = time.monotonic() + SECOND_SCAN_SECONDS
        pause = threading.Event()
        while (left := deadline - time.monotonic()) > 0:
            check()
            pause.wait(min(0.1, left))


def is_below(file_id: str, folders: frozenset[str]) -> bool:
    """Return whether a file is below one of the folders, which are given by id in NFC."""
    if not folders:
        return False
    parts = normalize_id(file_id).split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))


def keep_ids(scan: FolderScan, unicode_ids: UnicodeIds) -> tuple[dict[str, FoundFile], dict[str, Unreadable]]:
    """Return what the scan found, under the ids that names had before their Unicode normal form changed."""
    files, unreadable = scan.files, scan.unreadable
    changed = unicode_ids.assign([*files, *unreadable])
    # All are taken out before any is put back, because two files may swap ids.
    moved_files = {key: files.pop(old) for old, key in changed.items() if old in files}
    moved_entries = {key: unreadable.pop(old) for old, key in changed.items() if old in unreadable}
    files.update((key, file._replace(file_id=key)) for key, file in moved_files.items())
    unreadable.update((key, entry._replace(file_id=key)) for key, entry in moved_entries.items())
    return files, unreadable
