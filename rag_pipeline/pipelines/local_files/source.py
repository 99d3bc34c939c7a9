"""A folder, as the source of a pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from rag_pipeline.ingest.types import Progress
from rag_pipeline.pipelines.following.source import Check, Found, FoundFile, SourceUnavailableError
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.scan import FolderUnavailableError, current_version, scan
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.pipelines.local_files.watch import Watcher

PIPELINE_TYPE = "local_files"


class LocalFilesSource:
    """The files below ``settings.folder``; the :class:`~rag_pipeline.pipelines.following.source.Source` of local_files.

    The state folder, if it is below the watched one, is left out.
    """

    kind = PIPELINE_TYPE

    def __init__(self, settings: LocalFilesSettings, pipeline_id: str | None = None) -> None:
        self.place = names.file_id(settings.folder)
        self.shown: Mapping[str, object] = {"folder": names.display_name(settings.folder)}
        self.settle_seconds = settings.settle_seconds
        self._folder = settings.folder
        self._exclude = str(settings.state_dir.resolve())
        self._pipeline_id = pipeline_id

    def look(self, check: Check) -> Found:
        """Walk the folder."""
        try:
            found = scan(self._folder, exclude=self._exclude, check=check)
        except FolderUnavailableError as error:
            raise SourceUnavailableError(f"the folder can't be read: {error}") from None
        return Found(found.files, found.oddities, lambda key: is_below(key, found.unknown), found.identity)

    def doubt(self) -> None:
        """Do nothing: every look begins and ends with the folder itself."""

    def fetch(self, file: FoundFile, on_progress: Progress, check: Check) -> AbstractContextManager[str]:  # noqa: ARG002
        """Return the path of the file, which is read where it is."""
        return nullcontext(names.path_of(file.uri))

    def version_now(self, file: FoundFile) -> str:
        """Return the file's version at this moment; raises OSError."""
        return current_version(names.path_of(file.uri))

    def watch(self, hint: Callable[[], None], stop: threading.Event) -> Watcher:
        """Have the kernel tell what changes below the folder."""
        return Watcher(self._folder, self._exclude, hint, stop, pipeline_id=self._pipeline_id)


def is_below(file_id: str, folders: frozenset[str]) -> bool:
    """Return whether a file is below one of the folders, all given by their ids."""
    if not folders:
        return False
    parts = file_id.split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))
