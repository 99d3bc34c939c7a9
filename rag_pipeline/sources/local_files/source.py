"""A folder, as the source of a pipeline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rag_pipeline.common.config import RunMode
from rag_pipeline.ingest.types import Progress
from rag_pipeline.sources.following.source import (
    Check,
    Fetched,
    Found,
    FoundFile,
    Oddity,
    SourceUnavailableError,
    opened,
)
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.beneath import open_file
from rag_pipeline.sources.local_files.forms import IdForms, composed
from rag_pipeline.sources.local_files.mount_file import MountFile
from rag_pipeline.sources.local_files.mount_table import MountTable, read_mount_table
from rag_pipeline.sources.local_files.quiet import Quiet
from rag_pipeline.sources.local_files.scan import (
    FolderUnavailableError,
    Scan,
    current_version,
    is_same_content,
    scan,
)
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.subfolders import UNMOUNTED, Doubt, Subfolders
from rag_pipeline.sources.local_files.watch import Watcher

PIPELINE_TYPE = "local_files"
SECOND_SCAN_SECONDS = 1.0
"""A single pass has no later look: so long after the first scan it makes the second one, if there is a doubt."""


class LocalFilesSource:
    """The files below ``settings.folder``; the :class:`~rag_pipeline.sources.following.source.Source` of local_files.

    The state folder, if it is below the watched one, is left out.
    """

    kind = PIPELINE_TYPE
    transfers = False

    def __init__(self, settings: LocalFilesSettings, pipeline_id: str | None = None) -> None:
        self.place = names.file_id(settings.folder)
        self.shown: Mapping[str, object] = {"folder": names.display_name(settings.folder)}
        self.settle_seconds = settings.settle_seconds
        self._folder = settings.folder
        self._exclude = str(settings.state_dir.resolve())
        self._follow_outside = settings.follow_outside_links
        self._single = settings.mode is RunMode.SINGLE
        self._pipeline_id = pipeline_id
        self._files: Mapping[str, FoundFile] = {}  # of the last scan
        self._forms = IdForms()
        self._subfolders = Subfolders()
        self._mount_file = MountFile(settings.state_dir, self.place, pipeline_id)
        self._quiet = Quiet(settings.folder, settings.settle_seconds)

    def learn(self, ids: Iterable[str]) -> None:
        """Take the ids of the files that are known at the start; before the first look."""
        ids = [*ids]
        self._forms.learn(ids)
        self._subfolders.learn(ids, self._mount_file.read())

    def look(self, check: Check) -> Found:
        """Walk the folder, unless it is sure that nothing has changed since the last walk."""
        table = read_mount_table()
        unchanged = self._quiet.unchanged(table)
        if unchanged is not None:
            return unchanged
        self._quiet.begin(table)
        found, seen, is_sure = self._walk(check, table)
        if not is_sure and self._single:
            self._wait(check)
            found, seen, is_sure = self._walk(check, table)
        if is_sure:
            self._quiet.end(found, seen)
        return found

    def doubt(self) -> None:
        """Have the next look walk the folder, whatever the kernel told."""
        self._quiet.disturb()

    @contextmanager
    def fetch(self, file: FoundFile, on_progress: Progress, check: Check) -> Iterator[Fetched]:  # noqa: ARG002
        """Open the file, which is read where it is."""
        path = names.path_of(file.uri)
        if self._follow_outside:
            with opened(path) as content:
                yield content
            return
        descriptor = open_file(self._folder, path, exclude=self._exclude)
        try:
            yield Fetched(path, descriptor)
        finally:
            os.close(descriptor)

    def version_now(self, file: FoundFile) -> str:
        """Return the file's version at this moment; raises OSError.

        A new mode, tag or link of the file is no reason to leave the work on it: the next look has its content hashed.
        """
        now = current_version(names.path_of(file.uri))
        return file.version if is_same_content(now, file.version) else now

    def watch(self, hint: Callable[[], None], stop: threading.Event) -> Watcher:
        """Have the kernel tell what changes below the folder."""

        def changed() -> None:
            self._quiet.disturb()
            hint()

        watcher = Watcher(self._folder, self._exclude, changed, stop, pipeline_id=self._pipeline_id)
        self._quiet.watcher = watcher
        return watcher

    def _walk(self, check: Check, table: MountTable) -> tuple[Found, Scan, bool]:
        """Return what is there, and whether there is no doubt about what is missing."""
        try:
            seen = scan(
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
        unlisted = frozenset(map(composed, seen.unknown))
        doubt = self._subfolders.judge(seen.folders, seen.filled, unlisted)
        self._mount_file.write(self._subfolders.mounts)
        files, oddities = keep_ids(seen, self._forms)
        if doubt.folders or unlisted:
            self._forms.learn([*files, *oddities])
        else:
            self._forms.keep([*files, *oddities])
        for folder in doubt.unmounted:
            oddities.setdefault(folder, Oddity(folder, folder, UNMOUNTED, is_error=True))
        unknown = self._unknown(files, unlisted, doubt)
        self._files = files
        return Found(files, oddities, unknown, seen.identity), seen, not doubt.folders

    def _unknown(self, files: Mapping[str, FoundFile], unlisted: frozenset[str], doubt: Doubt) -> Callable[[str], bool]:
        if not doubt.folders:
            return lambda key: is_below(key, unlisted)
        before = self._files
        new = {_content(file) for key, file in files.items() if key not in before}

        def has_moved(key: str) -> bool:
            file = before.get(key)
            return file is not None and _content(file) in new

        doubtful = doubt.folders
        return lambda key: is_below(key, unlisted) or (is_below(key, doubtful) and not has_moved(key))

    @staticmethod
    def _wait(check: Check) -> None:
        deadline = time.monotonic() + SECOND_SCAN_SECONDS
        pause = threading.Event()
        while (left := deadline - time.monotonic()) > 0:
            check()
            pause.wait(min(0.1, left))


def is_below(file_id: str, folders: frozenset[str]) -> bool:
    """Return whether a file is below one of the folders, all given by their ids; the folders' are in NFC."""
    if not folders:
        return False
    parts = composed(file_id).split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))


def keep_ids(seen: Scan, forms: IdForms) -> tuple[dict[str, FoundFile], dict[str, Oddity]]:
    """Return what was found under the ids it had before its names changed their Unicode form."""
    files, oddities = seen.files, seen.oddities
    changed = forms.assign([*files, *oddities])
    # All are taken out before any is put back: two files may take over each other's ids.
    moved_files = {key: files.pop(old) for old, key in changed.items() if old in files}
    moved_oddities = {key: oddities.pop(old) for old, key in changed.items() if old in oddities}
    files.update((key, file._replace(file_id=key)) for key, file in moved_files.items())
    oddities.update((key, odd._replace(file_id=key)) for key, odd in moved_oddities.items())
    return files, oddities


def _content(file: FoundFile) -> tuple[int, float]:
    return file.size, file.modified_at
